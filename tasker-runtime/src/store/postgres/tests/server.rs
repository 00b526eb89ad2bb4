//! A database of its own for each test, on the server that `cargo xtask test` or `cargo xtask postgres` starts.

use std::io::Write as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use uuid::Uuid;

use crate::store::postgres::{Durability, PostgresStore};

const VARIABLE: &str = "TASKER_TEST_POSTGRES";

/// Whether there is a server to test with. Where there is none, the test says so and is counted as not run.
///
/// # Panics
/// There is none, and this is where nothing may be left out.
pub(in crate::store) fn is_there() -> bool {
    if std::env::var_os(VARIABLE).is_some() {
        return true;
    }
    let told = format!("not run: no server; `cargo xtask postgres -- COMMAND` starts one and sets {VARIABLE}");
    assert!(std::env::var_os("CI").is_none(), "{told}");
    let mut error = std::io::stderr();
    writeln!(error, "{told}").unwrap();
    if let Some(list) = std::env::var_os("TASKER_TEST_SKIPPED") {
        let mut list = std::fs::OpenOptions::new().create(true).append(true).open(list).unwrap();
        writeln!(list, "{}", std::thread::current().name().unwrap_or("a test")).unwrap();
    }
    false
}

fn server() -> PgConnectOptions {
    std::env::var(VARIABLE).unwrap().parse().unwrap()
}

/// A database that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Database(String);

impl Database {
    pub(super) async fn create() -> Self {
        Self::create_with("").await
    }

    /// A database of this role.
    pub(super) async fn owned_by(role: &Role) -> Self {
        Self::create_with(&format!("OWNER {}", role.name)).await
    }

    async fn create_with(options: &str) -> Self {
        let name = format!("tasker_test_{}", Uuid::new_v4().simple());
        let mut connection = server().connect().await.unwrap();
        run(&mut connection, &format!("CREATE DATABASE {name} {options}")).await;
        Self(name)
    }

    pub(super) fn url(&self) -> String {
        let url = std::env::var(VARIABLE).unwrap();
        let (base, _) = url.rsplit_once('/').unwrap();
        format!("{base}/{}", self.0)
    }

    /// The same for this role.
    pub(super) fn url_for(&self, role: &Role) -> String {
        let url = self.url();
        let (_, place) = url.rsplit_once('@').unwrap();
        format!("postgres://{}:{}@{place}", role.name, role.password)
    }

    /// A connection beside those of a store.
    pub(super) async fn connect(&self) -> PgConnection {
        server().database(&self.0).connect().await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        run_apart(format!("DROP DATABASE {} WITH (FORCE)", self.0));
    }
}

/// Somebody who may do nothing on the server but come in. What he owns has to go before he does.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: String,
    password: String,
}

impl Role {
    pub(super) async fn create() -> Self {
        let name = format!("tasker_test_{}", Uuid::new_v4().simple());
        let password = Uuid::new_v4().simple().to_string();
        let mut connection = server().connect().await.unwrap();
        let rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";
        run(&mut connection, &format!("CREATE ROLE {name} {rights} PASSWORD '{password}'")).await;
        Self { name, password }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        run_apart(format!("DROP ROLE {}", self.name));
    }
}

/// Runs a statement on the server at the end of a test, whose own runtime is busy with that.
fn run_apart(sql: String) {
    let done = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = server().connect().await.unwrap();
            run(&mut connection, &sql).await;
        });
    });
    _ = done.join();
}

/// An empty store.
pub(super) async fn open() -> (PostgresStore, Database) {
    let database = Database::create().await;
    (PostgresStore::open(&database.url(), Durability::Full).await.unwrap(), database)
}

/// Runs statements on a connection beside those of a store.
pub(super) async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}
