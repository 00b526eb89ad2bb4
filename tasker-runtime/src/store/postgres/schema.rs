//! The schema `tasker`, from nothing to the newest.

use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use super::error::translate;
use super::rows::Columns;
use super::session::Session;
use crate::store::StoreError;
use crate::store::migration::{self, Applied, Migration};

/// The migrations, oldest first: version, name, text.
pub(super) const MIGRATIONS: &[Migration] = &[
    (1, "tasks", include_str!("../../../../migrations/postgres/0001_tasks.sql")),
    (2, "expand: batches", include_str!("../../../../migrations/postgres/0002_batches.sql")),
    (3, "expand: view of batches", include_str!("../../../../migrations/postgres/0003_view_of_batches.sql")),
    (4, "expand: events", include_str!("../../../../migrations/postgres/0004_events.sql")),
    (
        5,
        "expand: checkpoints and reruns",
        include_str!("../../../../migrations/postgres/0005_checkpoints_and_reruns.sql"),
    ),
    (6, "expand: identities", include_str!("../../../../migrations/postgres/0006_identities.sql")),
    (7, "expand: fewer checks", include_str!("../../../../migrations/postgres/0007_fewer_checks.sql")),
    (8, "expand: claim timeouts", include_str!("../../../../migrations/postgres/0008_claim_timeouts.sql")),
    (9, "expand: view of attempts", include_str!("../../../../migrations/postgres/0009_view_of_attempts.sql")),
    (10, "expand: event fills", include_str!("../../../../migrations/postgres/0010_event_fills.sql")),
];
/// The oldest server that is known to do.
const SERVER_MIN: i32 = 150_000;
/// Where tables are found of which nothing says how they came to be.
const UNKNOWN: &str = "the schema `tasker` has tables, but `tasker.migrations` does not say which: bring the whole schema \
                       back from a backup, or use another database; `DROP SCHEMA tasker CASCADE` deletes all that is in it";
const OTHER_DATABASE: &str =
    "something else is in the schema `tasker`: bring it back from a backup, or use another database";
/// Of several processes that open a database at once, one migrates it: `tasker` in ASCII.
const LOCK: i64 = 0x74_61_73_6b_65_72;

/// Refuses a server that is too old.
pub(super) async fn check_server(session: &mut Session) -> Result<(), StoreError> {
    let sql = "SELECT current_setting('server_version_num')::integer, current_setting('server_version')";
    let rows = session.read(sqlx::query(sql)).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (number, name): (i32, String) = (row.try_get(0).map_err(translate)?, row.try_get(1).map_err(translate)?);
    if number < SERVER_MIN {
        return Err(StoreError::Open(format!("the server is PostgreSQL {name}; 15 or later is needed")));
    }
    Ok(())
}

/// Brings the schema up to date. Every migration that is missing, or none: they are one transaction.
pub(super) async fn migrate(session: &mut Session) -> Result<(), StoreError> {
    session.begin().await?;
    let current = is_current(session).await?;
    session.end_read().await?;
    if current {
        return Ok(());
    }
    session.begin().await?;
    // Whoever waits for the lock waits for another process that migrates.
    session.simple("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'").await?;
    session.fetch(sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK)).await?;
    if !is_current(session).await? {
        let there = session.fetch(sqlx::query("SELECT to_regnamespace('tasker') IS NOT NULL")).await?;
        if !there.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
            session.simple("CREATE SCHEMA tasker").await?;
        }
        let found = schema_version(session).await?;
        if found == 0 {
            let ours = session.fetch(sqlx::query("SELECT to_regclass('tasker.tasks') IS NOT NULL")).await?;
            if ours.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
                return Err(StoreError::Open(UNKNOWN.to_owned()));
            }
        }
        session.simple(TABLE).await?;
        for &(version, name, text) in MIGRATIONS.iter().filter(|(version, ..)| *version > found) {
            session.simple(text).await.map_err(|error| match error {
                StoreError::Corrupt(reason) => {
                    StoreError::Open(format!("the schema cannot be brought up to date: {reason}; {OTHER_DATABASE}"))
                }
                other => other,
            })?;
            let insert = "INSERT INTO tasker.migrations (version, name, checksum) VALUES ($1, $2, $3)";
            session.execute(sqlx::query(insert).bind(version).bind(name).bind(checksum(text))).await?;
            tracing::info!(version, name, "the database was migrated");
        }
    }
    session.commit().await
}

/// Named by nobody but us: migrations of the application's own never meet it.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS tasker.migrations (
    version    bigint      NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    checksum   bytea       NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)";

fn checksum(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// Whether the database has every migration that this binary knows, and none that it cannot work with.
async fn is_current(session: &mut Session) -> Result<bool, StoreError> {
    let mut found = Vec::new();
    if schema_version(session).await? > 0 {
        for row in session.fetch(sqlx::query("SELECT version, name, checksum FROM tasker.migrations")).await? {
            let mut columns = Columns::of(&row);
            found.push(Applied { version: columns.get()?, name: columns.get()?, checksum: columns.get()? });
        }
    }
    migration::is_current(&found, MIGRATIONS, checksum)
}

/// The newest migration that the database has; 0 where it has none.
pub(super) async fn schema_version(session: &mut Session) -> Result<i64, StoreError> {
    let there = session.fetch(sqlx::query("SELECT to_regclass('tasker.migrations') IS NOT NULL")).await?;
    if !there.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
        return Ok(0);
    }
    let rows = session.fetch(sqlx::query("SELECT coalesce(max(version), 0) FROM tasker.migrations")).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0).map_err(translate))
}
