//! What the file and SQLite say of themselves.

use rusqlite::Connection;
use rusqlite::types::FromSql;
use serde::Serialize;

use super::rows::value;
use super::sql::{first, nothing};
use crate::store::StoreError;

/// What the file and SQLite say of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The version of the SQLite that is linked in.
    pub sqlite_version: String,
    /// The newest migration that the file has.
    pub schema_version: i64,
    /// `wal`, or the database is not what it should be.
    pub journal_mode: String,
    /// `FULL` or `NORMAL`.
    pub synchronous: &'static str,
    /// The bytes of a page.
    pub page_bytes: i64,
    /// The pages of the file.
    pub pages: i64,
    /// Those of them that nothing is in.
    pub free_pages: i64,
}

pub(super) fn read(connection: &Connection) -> Result<Facts, StoreError> {
    let synchronous: i64 = one(connection, "PRAGMA synchronous")?;
    Ok(Facts {
        sqlite_version: one(connection, "SELECT sqlite_version()")?,
        schema_version: super::schema::schema_version(connection)?,
        journal_mode: one(connection, "PRAGMA journal_mode")?,
        synchronous: match synchronous {
            0 => "OFF",
            1 => "NORMAL",
            2 => "FULL",
            _ => "EXTRA",
        },
        page_bytes: one(connection, "PRAGMA page_size")?,
        pages: one(connection, "PRAGMA page_count")?,
        free_pages: one(connection, "PRAGMA freelist_count")?,
    })
}

fn one<T: FromSql>(connection: &Connection, sql: &str) -> Result<T, StoreError> {
    let found = first(connection, sql, nothing, value)?;
    found.ok_or_else(|| StoreError::Corrupt(format!("{sql}: no answer")))
}
