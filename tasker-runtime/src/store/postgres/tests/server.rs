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
        let name = format!("tasker_test_{}", Uuid::new_v4().simple());
        let mut connection = server().connect().await.unwrap();
        run(&mut connection, &format!("CREATE DATABASE {name}")).await;
        Self(name)
    }

    pub(super) fn url(&self) -> String {
        let url = std::env::var(VARIABLE).unwrap();
        let (base, _) = url.rsplit_once('/').unwrap();
        format!("{base}/{}", self.0)
    }

    /// A connection beside those of a store.
    pub(super) async fn connect(&self) -> PgConnection {
        server().database(&self.0).connect().await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = self.0.clone();
        // The test's own runtime is busy with this very drop.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = server().connect().await.unwrap();
                run(&mut connection, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        _ = dropped.join();
    }
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
