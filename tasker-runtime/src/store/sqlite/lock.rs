//! The lock that makes one process the worker of a file.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::file::private;
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
        // One file, one lock, by whichever of its names it is opened.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let beside = Self::file(&path);
        let failed = |error: std::io::Error| StoreError::Open(format!("{}: {error}", beside.display()));
        let file = private().create(true).truncate(false).open(&beside).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Whether a process holds the lock. Looking leaves no trace, and stands in nobody's way but for a moment.
    ///
    /// # Errors
    /// The lock's file can't be read.
    pub fn is_held(path: &Path) -> Result<bool, StoreError> {
        let beside = Self::file(path);
        let failed = |error: std::io::Error| StoreError::Open(format!("{}: {error}", beside.display()));
        let file = match File::open(&beside) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn file(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        name.into()
    }
}
