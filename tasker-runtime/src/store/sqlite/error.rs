//! SQLite's errors, by what the engine can do about them.

use crate::store::StoreError;

/// Sorts an error of SQLite, or of the driver, by what can be done about it.
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// An error with a code of SQLite.
    #[derive(Debug)]
    struct Coded(i32);

    impl fmt::Display for Coded {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "code {}", self.0)
        }
    }

    impl Error for Coded {}

    impl DatabaseError for Coded {
        fn message(&self) -> &str {
            "an error"
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.to_string().into())
        }
        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn coded(code: i32) -> sqlx::Error {
        sqlx::Error::Database(Box::new(Coded(code)))
    }

    #[test]
    fn each_code_says_what_can_be_done() {
        // Codes with their extended forms: SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC, ..
        for (code, wanted) in [
            (5, "D001"),
            (5 | 2 << 8, "D001"),
            (6, "D001"),
            (10, "D001"),
            (10 | 4 << 8, "D001"),
            (13, "D003"),
            (8, "D004"),
            (8 | 5 << 8, "D004"),
            (14, "D009"),
            (26, "D009"),
            (11, "D007"),
            (19 | 8 << 8, "D007"),
            (1, "D007"),
        ] {
            assert_eq!(translate(coded(code)).code(), wanted, "code {code}");
        }
        assert_eq!(translate(sqlx::Error::PoolTimedOut).code(), "D001");
        assert_eq!(translate(sqlx::Error::PoolClosed).code(), "D009");
    }

    #[test]
    fn a_disk_that_fails_at_a_commit_leaves_it_unknown() {
        assert_eq!(unless_committed(coded(10 | 4 << 8)).code(), "D002");
        assert_eq!(unless_committed(sqlx::Error::WorkerCrashed).code(), "D002");
        assert_eq!(unless_committed(coded(5)).code(), "D001", "it can be tried again");
        assert_eq!(unless_committed(coded(13)).code(), "D003");
    }
}
