//! A database in a folder of its own, which goes when the test does.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use crate::store::sqlite::writer::Job;
use crate::store::sqlite::{Durability, SqliteOptions, SqliteStore};

/// Commits are not synced where a test loses no power; what waits for another connection soon gives up.
pub(super) const OPTIONS: SqliteOptions =
    SqliteOptions { durability: Durability::Relaxed, busy_timeout: Duration::from_millis(50), pages_max: None };

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tasker-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.file("tasker.db")
    }

    /// A connection beside those of a store.
    pub(super) fn connect(&self) -> Connection {
        let connection = Connection::open(self.database()).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        connection
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An empty store.
pub(super) async fn open() -> (SqliteStore, Folder) {
    let folder = Folder::new();
    (SqliteStore::open(folder.database(), Durability::Relaxed).await.unwrap(), folder)
}

/// Runs statements on a connection beside those of a store.
pub(super) fn run(connection: &mut Connection, sql: &str) {
    connection.execute_batch(sql).unwrap();
}

/// What the store's writer answers to a statement.
pub(super) async fn ask(store: &SqliteStore, sql: &str) -> Vec<String> {
    store.writer.ask(|answer| Job::Ask(sql.to_owned(), answer)).await.unwrap()
}
