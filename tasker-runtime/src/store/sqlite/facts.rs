//! What the file and SQLite say of themselves.

use serde::Serialize;
use sqlx::{Decode, Sqlite, SqliteConnection, Type};

use super::error::translate;
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

pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Facts, StoreError> {
    let synchronous: i64 = one(connection, "PRAGMA synchronous").await?;
    Ok(Facts {
        sqlite_version: one(connection, "SELECT sqlite_version()").await?,
        schema_version: super::schema::schema_version(connection).await?,
        journal_mode: one(connection, "PRAGMA journal_mode").await?,
        synchronous: match synchronous {
            0 => "OFF",
            1 => "NORMAL",
            2 => "FULL",
            _ => "EXTRA",
        },
        page_bytes: one(connection, "PRAGMA page_size").await?,
        pages: one(connection, "PRAGMA page_count").await?,
        free_pages: one(connection, "PRAGMA freelist_count").await?,
    })
}

async fn one<T>(connection: &mut SqliteConnection, sql: &'static str) -> Result<T, StoreError>
where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + Send + Unpin,
{
    sqlx::query_scalar(sql).fetch_one(connection).await.map_err(translate)
}
