//! SQLite's errors, by what the engine can do about them.

use crate::store::StoreError;

/// Sorts an error of SQLite, or of the driver, by what can be done about it.
#[expect(clippy::needless_pass_by_value, reason = "it is the argument of `map_err`")]
pub(super) fn translate(error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    match (primary_code(&error), &error) {
        // BUSY, LOCKED, IOERR: another process holds the file, or the disk failed this once.
        (Some(5 | 6 | IOERR), _) => StoreError::Unavailable(text),
        (Some(13), _) => StoreError::Full(text),
        (Some(8), _) => StoreError::ReadOnly(text),
        // PERM, CANTOPEN, AUTH, NOTADB.
        (Some(3 | 14 | 23 | 26), _) => StoreError::Open(text),
        (None, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => StoreError::Unavailable(text),
        (None, sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed) => StoreError::Open(text),
        _ => StoreError::Corrupt(text),
    }
}

/// The same for an error of COMMIT: a disk that failed then may have kept the transaction or not.
pub(super) fn unless_committed(error: sqlx::Error) -> StoreError {
    match primary_code(&error) {
        Some(IOERR) | None => StoreError::Unknown(error.to_string()),
        Some(_) => translate(error),
    }
}

const IOERR: i32 = 10;

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}
