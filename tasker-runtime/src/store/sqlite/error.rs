//! SQLite's errors, by what the engine can do about them.

use crate::store::StoreError;

/// Sorts an error of SQLite, or of the driver, by what can be done about it.
#[expect(clippy::needless_pass_by_value, reason = "it is the argument of `map_err`")]
pub(super) fn translate(error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
    match (code.map(|code| code & 0xff), &error) {
        // BUSY, LOCKED, IOERR: another process holds the file, or the disk failed this once.
        (Some(5 | 6 | 10), _) => StoreError::Unavailable(text),
        (Some(13), _) => StoreError::Full(text),
        (Some(8), _) => StoreError::ReadOnly(text),
        // PERM, CANTOPEN, AUTH.
        (Some(3 | 14 | 23), _) => StoreError::Open(text),
        (None, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => StoreError::Unavailable(text),
        (None, sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed) => StoreError::Open(text),
        _ => StoreError::Corrupt(text),
    }
}
