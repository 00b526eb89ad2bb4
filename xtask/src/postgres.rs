//! A PostgreSQL server of its own for tests and for benches: started where it is needed, gone when they are, however they
//! end.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};

use crate::install::{self, install, is_root};
use crate::run::say;

/// Where the tests find a server whose user may make databases.
pub(crate) const VARIABLE: &str = "TASKER_TEST_POSTGRES";
/// Where benches find theirs.
const BENCH_VARIABLE: &str = "TASKER_BENCH_POSTGRES";
/// The package that has the programs of a server.
const PACKAGE: &str = "postgresql";
/// The user who runs a server that root starts: PostgreSQL refuses to be root.
const SERVER_USER: &str = "postgres";
/// What every server is told.
const SETTINGS: &str = "-c listen_addresses=127.0.0.1";
/// The library that counts statements, and that not every server has.
const COUNTS: &str = "pg_stat_statements";

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Its data may be lost with the machine.
    Tests,
    /// As durable as PostgreSQL is where nobody sets it otherwise.
    Bench,
}

impl Use {
    /// Where its address is put.
    fn variable(self) -> &'static str {
        match self {
            Self::Tests => VARIABLE,
            Self::Bench => BENCH_VARIABLE,
        }
    }

    /// Where its folder is: that of the system may be in memory, where syncing costs nothing.
    fn place(self) -> PathBuf {
        match self {
            Self::Tests => std::env::temp_dir(),
            Self::Bench => PathBuf::from("/var/tmp"),
        }
    }

    fn settings(self, programs: &Path) -> String {
        match self {
            // Each test that runs beside others has a few connections.
            Self::Tests => format!(
                "{SETTINGS} -c fsync=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=128MB \
                 -c max_wal_size=2GB -c autovacuum_naptime=10s"
            ),
            Self::Bench => {
                let counts = if has_library(programs, COUNTS) {
                    format!(" -c shared_preload_libraries={COUNTS} -c {COUNTS}.track=none")
                } else {
                    String::new()
                };
                format!(
                    "{SETTINGS} -c fsync=on -c synchronous_commit=on -c full_page_writes=on -c shared_buffers=1GB \
                     -c max_wal_size=4GB -c track_wal_io_timing=on{counts}"
                )
            }
        }
    }
}

/// A running server in a folder of its own.
pub(crate) struct Server {
    url: String,
    /// Stops the server and removes its folder when the pipe to it closes: also where this process is killed.
    keeper: Child,
}

impl Server {
    /// What is connected to.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn start(programs: &Path, is_for: Use) -> Result<Self> {
        let user = User::of_server()?;
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
        let folder = is_for.place().join(format!("tasker-postgres-{}-{nanos}", std::process::id()));
        let (data, log, secret) = (folder.join("data"), folder.join("log"), folder.join("password"));
        let password = random_word()?;
        run(user.command("mkdir").args(["-m", "700"]).arg(&folder), None)?;
        let keeper = keeper(&user, programs, &folder)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let server = Self { url: format!("postgres://tasker:{password}@127.0.0.1:{port}/postgres"), keeper };

        let write = r#"umask 077; cat > "$1""#;
        run(user.command("sh").args(["-c", write, "sh"]).arg(&secret), Some(&password))?;
        let mut initdb = user.command(programs.join("initdb"));
        initdb.args(["--username=tasker", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]);
        run(initdb.arg(option("--pwfile=", &secret)).arg(option("--pgdata=", &data)), None)?;
        let mut start = user.command(programs.join("pg_ctl"));
        start.args(["start", "--wait", "--timeout=60", "--silent"]).arg(option("--pgdata=", &data));
        start.arg(option("--log=", &log));
        let settings = is_for.settings(programs);
        let settings = format!("{settings} -c port={port} -c unix_socket_directories={}", folder.display());
        if let Err(error) = run(start.arg(format!("--options={settings}")), None) {
            let log = user.command("cat").arg(&log).output().map(|output| output.stdout).unwrap_or_default();
            bail!("{error}\n{}", String::from_utf8_lossy(&log));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Whatever it says, there is nothing more that could be done.
        let _ = self.keeper.wait();
    }
}

/// A server for the tests; none where there are no programs of a server and they cannot be installed.
pub(crate) fn find_or_start() -> Result<Option<Server>> {
    find_or_start_for(Use::Tests)
}

/// A durable server for benches and the variable that tells them of it; none where the environment names one, or none
/// can be had.
pub(crate) fn for_bench() -> Result<Option<(&'static str, Server)>> {
    if std::env::var_os(BENCH_VARIABLE).is_some() {
        return Ok(None);
    }
    Ok(find_or_start_for(Use::Bench)?.map(|server| (BENCH_VARIABLE, server)))
}

fn find_or_start_for(is_for: Use) -> Result<Option<Server>> {
    let programs = match find_programs() {
        Some(programs) => programs,
        None => match if install(PACKAGE)? { find_programs() } else { None } {
            Some(programs) => programs,
            None => return Ok(None),
        },
    };
    let server = Server::start(&programs, is_for)?;
    say(&format!("a PostgreSQL server of {} runs for {}", programs.display(), is_for.variable()))?;
    Ok(Some(server))
}

/// Runs a command beside a server, with the variable set.
pub(crate) fn with_server(command: &[String]) -> Result<()> {
    let command = command.strip_prefix(&["--".to_owned()]).unwrap_or(command);
    let [program, arguments @ ..] = command else {
        bail!("write `cargo xtask postgres -- COMMAND ..`");
    };
    let server = if std::env::var_os(VARIABLE).is_some() {
        None
    } else {
        let Some(server) = find_or_start()? else { bail!("there is no PostgreSQL: {}", install_command()) };
        Some(server)
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(server.as_ref().map(|server| (VARIABLE, server.url())));
    let status = command.status().with_context(|| program.clone())?;
    drop(server);
    ensure!(status.success(), "`{program}` failed");
    Ok(())
}

/// What a person types to have the programs of a server.
pub(crate) fn install_command() -> String {
    install::command(PACKAGE)
}

/// The newest of the servers that are installed.
fn find_programs() -> Option<PathBuf> {
    let has = |folder: &Path| ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file());
    let mut packaged: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| has(folder))
        .collect();
    packaged.sort();
    let told = || {
        let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    packaged
        .pop()
        .map(|(_, folder)| folder)
        .or_else(|| told().filter(|folder| has(folder)))
        .or_else(|| std::env::split_paths(&path).find(|folder| has(folder)))
}

/// Whether a library of the server is where its programs expect it.
fn has_library(programs: &Path, name: &str) -> bool {
    let file = format!("{name}.so");
    ["../lib", "../lib/postgresql"].iter().any(|folder| programs.join(folder).join(&file).is_file())
}

/// Who runs the programs of the server.
struct User(Vec<&'static str>);

impl User {
    fn of_server() -> Result<Self> {
        if !is_root()? {
            return Ok(Self(Vec::new()));
        }
        let ways: [Vec<&'static str>; 2] = [
            vec!["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"],
            vec!["runuser", "-u", SERVER_USER, "--"],
        ];
        let works = |way: &Vec<&'static str>| {
            let mut probe = Command::new(way[0]);
            probe.args(&way[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
            probe.status().is_ok_and(|status| status.success())
        };
        match ways.into_iter().find(works) {
            Some(way) => Ok(Self(way)),
            None => bail!("PostgreSQL refuses to be root, and there is no user `{SERVER_USER}` to run it"),
        }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match self.0.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        // The folder of whoever started this may be closed to the server's user.
        command.current_dir("/");
        command
    }
}

/// A process in a group of its own, which Ctrl-C does not reach.
fn keeper(user: &User, programs: &Path, folder: &Path) -> Result<Child> {
    let script = r#"cat > /dev/null; "$1" stop --silent --wait --mode=immediate --pgdata="$2/data"; rm -rf "$2""#;
    let mut command = user.command("sh");
    command.args(["-c", script, "sh"]).arg(programs.join("pg_ctl")).arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    Ok(command.spawn()?)
}

fn run(command: &mut Command, input: Option<&str>) -> Result<()> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    // The server inherits the output of what starts it, and keeps it open: so that goes nowhere.
    let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes())?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}

fn random_word() -> Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut word = String::new();
    for byte in bytes {
        write!(word, "{byte:02x}")?;
    }
    Ok(word)
}
