//! A database of its own for a test, on the server that `cargo xtask test` or `cargo xtask postgres` starts.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

const VARIABLE: &str = "TASKER_TEST_POSTGRES";

/// Has a test counted that did not run.
pub(crate) fn count_as_not_run() {
    if let Some(list) = std::env::var_os("TASKER_TEST_SKIPPED") {
        let mut list = std::fs::OpenOptions::new().create(true).append(true).open(list).expect("a list");
        writeln!(list, "{}", std::thread::current().name().unwrap_or("a test")).expect("it can be written");
    }
}

/// A database that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// The server's own URL, of a user who may do everything.
    server: String,
    name: String,
}

impl Server {
    /// A new database. Where there is no server, the test says so and is counted as not run.
    ///
    /// # Panics
    /// There is none, and this is where nothing may be left out.
    pub(crate) fn find() -> Option<Self> {
        let Ok(server) = std::env::var(VARIABLE) else {
            let told = format!("not run: no server; `cargo xtask postgres -- COMMAND` starts one and sets {VARIABLE}");
            assert!(std::env::var_os("CI").is_none(), "{told}");
            writeln!(std::io::stderr(), "{told}").expect("it can be said");
            count_as_not_run();
            return None;
        };
        let name = format!("tasker_cli_{}", uuid::Uuid::new_v4().simple());
        let database = Self { server, name };
        psql(&database.server, &format!("CREATE DATABASE {}", database.name));
        Some(database)
    }

    pub(crate) fn url(&self) -> String {
        let (base, _) = self.server.rsplit_once('/').expect("it names a database");
        format!("{base}/{}", self.name)
    }

    /// The URL for somebody else.
    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        let (_, rest) = self.server.split_once('@').expect("it names a user");
        let (host, _) = rest.rsplit_once('/').expect("it names a database");
        format!("postgres://{user}:{password}@{host}/{}", self.name)
    }

    /// Runs statements in the database, and gives what they tell.
    pub(crate) fn sql(&self, statements: &str) -> String {
        psql(&self.url(), statements)
    }

    /// A user of this name, who goes with the database.
    pub(crate) fn user(&self, options: &str) -> User<'_> {
        let name = format!("{}_user", self.name);
        psql(&self.server, &format!("CREATE ROLE {name} LOGIN PASSWORD 'secret-word' {options}"));
        User { server: self, name }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// A user of a database.
pub(crate) struct User<'s> {
    server: &'s Server,
    pub(crate) name: String,
}

impl User<'_> {
    pub(crate) fn url(&self) -> String {
        self.server.url_of(&self.name, "secret-word")
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        self.server.sql(&format!("DROP OWNED BY {0} CASCADE; DROP ROLE {0}", self.name));
    }
}

fn psql(url: &str, statements: &str) -> String {
    let mut command = Command::new(program());
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements, url]);
    let output = command.output().expect("psql starts");
    assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text").trim().to_owned()
}

/// `psql` beside the server's programs where Debian puts them, else from the path.
fn program() -> PathBuf {
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = packaged.map(|version| version.path().join("bin/psql")).collect();
    found.retain(|file| file.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| "psql".into())
}
