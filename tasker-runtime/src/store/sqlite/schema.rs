//! The schema of the file, from nothing to the newest.

use rusqlite::Connection;
use sha2::{Digest as _, Sha384};

use super::rows::value;
use super::sql::{execute_one, first, nothing, select_all};
use super::writer::{begin, commit};
use crate::store::StoreError;
use crate::store::migration::{self, Applied, Migration};

/// The migrations, oldest first: version, name, text.
pub(super) const MIGRATIONS: &[Migration] = &[
    (1, "tasks", include_str!("../../../../migrations/sqlite/0001_tasks.sql")),
    (2, "expand: batches", include_str!("../../../../migrations/sqlite/0002_batches.sql")),
    (3, "expand: view of batches", include_str!("../../../../migrations/sqlite/0003_view_of_batches.sql")),
    (4, "expand: events", include_str!("../../../../migrations/sqlite/0004_events.sql")),
    (
        5,
        "expand: checkpoints and reruns",
        include_str!("../../../../migrations/sqlite/0005_checkpoints_and_reruns.sql"),
    ),
    (6, "expand: identities", include_str!("../../../../migrations/sqlite/0006_identities.sql")),
    (7, "expand: fewer checks", include_str!("../../../../migrations/sqlite/0007_fewer_checks.sql")),
    (8, "expand: claim timeouts", include_str!("../../../../migrations/sqlite/0008_claim_timeouts.sql")),
    (9, "expand: view of attempts", include_str!("../../../../migrations/sqlite/0009_view_of_attempts.sql")),
    (10, "expand: event fills", include_str!("../../../../migrations/sqlite/0010_event_fills.sql")),
];
/// A name that no migrations of the application's own use; the columns are those of sqlx's migrations.
const MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS tasker_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
                                installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
                                checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)";
const MIGRATED: &str =
    "INSERT INTO tasker_migrations (version, description, success, checksum, execution_time) VALUES (?, ?, TRUE, ?, 0)";
const OTHER_DATABASE: &str =
    "the file is another program's, or only a part of a database: bring it back from a backup, or use another file";
/// SQLite before this version can damage a WAL file that two connections write.
const VERSION_MIN: i32 = 3_051_003;

/// Refuses a library that is too old.
pub(super) fn check_version() -> Result<(), StoreError> {
    if rusqlite::version_number() >= VERSION_MIN {
        return Ok(());
    }
    Err(StoreError::Open(format!("SQLite {} is linked in; 3.51.3 or later is needed", rusqlite::version())))
}

/// Brings the schema up to date: all of it or nothing.
pub(super) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    if is_current(connection)? {
        return Ok(());
    }
    // Of several processes that open a new file at once, one migrates it.
    begin(connection)?;
    if !is_current(connection)? {
        connection.execute_batch(MIGRATIONS_TABLE).map_err(super::error::translate)?;
        let found = schema_version(connection)?;
        for (version, name, text) in MIGRATIONS.iter().filter(|(version, ..)| *version > found) {
            connection.execute_batch(text).map_err(|error| {
                let error = super::error::translate(error);
                match error {
                    StoreError::Corrupt(reason) => {
                        StoreError::Open(format!("the schema cannot be brought up to date: {reason}; {OTHER_DATABASE}"))
                    }
                    other => other,
                }
            })?;
            execute_one(connection, MIGRATED, |to| _ = to.add(version).add(name).add(checksum(text)))?;
        }
    }
    commit(connection)
}

fn checksum(text: &str) -> Vec<u8> {
    Sha384::digest(text).to_vec()
}

/// Whether the file has every migration that this binary knows, and none that it cannot work with.
fn is_current(connection: &Connection) -> Result<bool, StoreError> {
    if !has_migrations(connection)? {
        return Ok(false);
    }
    let found = "SELECT version, description, checksum FROM tasker_migrations";
    let found = select_all(connection, found, nothing, |columns| {
        Ok(Applied { version: columns.get()?, name: columns.get()?, checksum: columns.get()? })
    })?;
    migration::is_current(&found, MIGRATIONS, checksum)
}

fn has_migrations(connection: &Connection) -> Result<bool, StoreError> {
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'tasker_migrations'";
    Ok(first(connection, table, nothing, |_| Ok(()))?.is_some())
}

/// Deletes what ANALYZE found, and tells whether there was any: a connection that is open still believes it.
///
/// Statistics of a moment when the tables were small make SQLite take other plans than the tested ones, which are right
/// for tables of any size.
pub(super) fn forget_statistics(connection: &Connection) -> Result<bool, StoreError> {
    let find = "SELECT 'DROP TABLE ' || name FROM sqlite_schema WHERE name IN ('sqlite_stat1', 'sqlite_stat4')";
    let drops: Vec<String> = select_all(connection, find, nothing, value)?;
    for drop in &drops {
        match connection.execute_batch(drop).map_err(super::error::translate) {
            Ok(()) => {}
            Err(StoreError::ReadOnly(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(!drops.is_empty())
}

/// The newest migration that the file has; 0 for an empty file.
pub(super) fn schema_version(connection: &Connection) -> Result<i64, StoreError> {
    if !has_migrations(connection)? {
        return Ok(0);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM tasker_migrations";
    Ok(first(connection, newest, nothing, value)?.unwrap_or_default())
}
