//! A database in a folder of its own, which goes when the test does.

use std::path::{Path, PathBuf};

use crate::store::sqlite::{Durability, SqliteStore};

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tasker-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("tasker.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An empty store. Commits are not synced: these tests lose no power.
pub(crate) async fn open() -> (SqliteStore, Folder) {
    let folder = Folder::new();
    (SqliteStore::open(folder.database(), Durability::Relaxed).await.unwrap(), folder)
}
