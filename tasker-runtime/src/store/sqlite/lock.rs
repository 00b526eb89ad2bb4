//! The lock that makes one process the worker of a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The right to run the worker of a database file: held until it is dropped, or its process dies.
#[derive(Debug)]
pub struct WorkerLock {
    _file: File,
}

impl WorkerLock {
    /// Takes the lock beside the database at `path`; `None` where another process holds it.
    ///
    /// # Errors
    /// The lock's file can't be made.
    pub fn try_take(path: &Path) -> Result<Option<Self>, StoreError> {
        let beside = Self::file(path);
        let failed = |error: std::io::Error| StoreError::Open(format!("{}: {error}", beside.display()));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&beside).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn file(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        name.into()
    }
}
