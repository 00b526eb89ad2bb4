//! PostgreSQL for a test: a database on the server that `cargo xtask test` starts, or a server of its own that can be
//! killed, stopped and started again.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};

const VARIABLE: &str = "TASKER_TEST_POSTGRES";

/// Says that a test is not run, and has it counted.
///
/// # Panics
/// This is where nothing may be left out.
pub(crate) fn not_run(why: &str) {
    let told = format!("not run: {why}");
    assert!(std::env::var_os("CI").is_none(), "{told}");
    eprintln!("{told}");
    count();
}

fn count() {
    if let Some(list) = std::env::var_os("TASKER_TEST_SKIPPED") {
        let mut list = std::fs::OpenOptions::new().create(true).append(true).open(list).unwrap();
        writeln!(list, "{}", std::thread::current().name().unwrap_or("a test")).unwrap();
    }
}

/// The same where the reason is a right that may be missing anywhere: then nothing is lost but this test.
pub(crate) fn not_possible(why: &str) {
    eprintln!("not run: {why}");
    count();
}

/// The URL of the server that the environment names.
pub(crate) fn shared() -> Option<String> {
    let url = std::env::var(VARIABLE).ok();
    if url.is_none() {
        not_run(&format!("no server; `cargo xtask postgres -- COMMAND` starts one and sets {VARIABLE}"));
    }
    url
}

/// A database that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new database on the server that the environment names.
    pub(crate) async fn find() -> Option<Self> {
        let server = shared()?;
        let name = format!("tasker_faults_{}", uuid::Uuid::new_v4().simple());
        sql(&server, &format!("CREATE DATABASE {name}")).await;
        Some(Self { server, name })
    }

    pub(crate) fn url(&self) -> String {
        let (base, _) = self.server.rsplit_once('/').unwrap();
        format!("{base}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // The test's own runtime is busy with this very drop.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(sql(&server, &drop));
        });
        _ = dropped.join();
    }
}

/// Runs statements on a connection of their own.
pub(crate) async fn sql(url: &str, statements: &str) {
    let mut connection = connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
}

pub(crate) async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().connect().await
}

/// The same URL with another host and port.
pub(crate) fn through(url: &str, port: u16) -> String {
    let (user, rest) = url.split_once('@').unwrap();
    let (_, database) = rest.split_once('/').unwrap();
    format!("{user}@127.0.0.1:{port}/{database}")
}

/// The host and port of a URL.
pub(crate) fn address(url: &str) -> String {
    url.split_once('@').unwrap().1.split_once('/').unwrap().0.to_owned()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program that runs as the server's user where this process is root: PostgreSQL refuses to be root.
pub(crate) fn as_server(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The folder of whoever started this may be closed to the server's user.
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// The newest programs of a server where Debian puts them, else those of the path.
fn program(name: &str) -> PathBuf {
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = packaged
        .filter_map(|version| {
            let file = version.path().join("bin").join(name);
            Some((version.file_name().to_str()?.parse().ok()?, file)).filter(|(_, file)| file.is_file())
        })
        .collect();
    found.sort();
    found.pop().map_or_else(|| name.into(), |(_, file)| file)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A folder that belongs to the server's user, and goes when it is dropped.
pub(crate) fn folder_of_server() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        done(Command::new("chown").arg("postgres").arg(folder.path()));
    }
    folder
}

pub(crate) fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server of the test's own, on a port of its own.
#[derive(Debug)]
pub(crate) struct Server {
    folder: tempfile::TempDir,
    port: u16,
    postmaster: Option<Child>,
    /// Stops the server when the pipe to it closes: also where this process is killed.
    keeper: Child,
}

impl Server {
    /// A server with empty databases; not started yet.
    pub(crate) fn make() -> Option<Self> {
        shared()?;
        if !program("initdb").is_file() {
            not_run("the programs of a server are not where Debian puts them");
            return None;
        }
        let folder = folder_of_server();
        let data = folder.path().join("data");
        let mut initdb = as_server(program("initdb"));
        // Only this machine reaches it, and nothing of worth is in it.
        initdb.args(["--username=tasker", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]);
        done(initdb.arg("--pgdata").arg(&data));
        let script = r#"cat > /dev/null; "$1" stop --silent --wait --mode=immediate --pgdata="$2""#;
        let mut keeper = as_server("sh");
        keeper.args(["-c", script, "sh"]).arg(program("pg_ctl")).arg(&data);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Some(Self { folder, port: free_port(), postmaster: None, keeper: keeper.spawn().unwrap() })
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://tasker@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the postmaster. After a `kill -9` it may find that processes of the one before are not gone yet: then it
    /// is started again.
    pub(crate) async fn start(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.launch();
            loop {
                if connect(&self.url()).await.is_ok() {
                    return;
                }
                assert!(Instant::now() < deadline, "the server does not start: {}", self.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
                if self.postmaster.as_mut().is_none_or(|postmaster| postmaster.try_wait().unwrap().is_some()) {
                    break;
                }
            }
        }
    }

    fn launch(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut postgres = as_server(program("postgres"));
        postgres.arg("-D").arg(self.folder.path().join("data")).args(["-p", &self.port.to_string(), "-k"]);
        postgres.arg(self.folder.path()).args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]);
        postgres.args(["-c", "autovacuum_naptime=10s"]).stdout(Stdio::null()).stderr(log);
        self.postmaster = Some(postgres.spawn().unwrap());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `kill -9` of the postmaster: its children find out by themselves.
    pub(crate) fn kill(&mut self) {
        let mut postmaster = self.postmaster.take().unwrap();
        postmaster.kill().unwrap();
        postmaster.wait().unwrap();
    }

    /// Stops it, in one of the three modes of `pg_ctl`.
    pub(crate) fn stop(&mut self, mode: &str) {
        let mut stop = as_server(program("pg_ctl"));
        stop.args(["stop", "--silent", "--wait", "--mode", mode]).arg("--pgdata").arg(self.folder.path().join("data"));
        done(&mut stop);
        self.postmaster.take().unwrap().wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Whatever it says, there is nothing more that could be done.
        let _ = self.keeper.wait();
        if let Some(mut postmaster) = self.postmaster.take() {
            let _ = postmaster.wait();
        }
    }
}
