//! SQLite's errors, by what the engine can do about them.

use crate::store::StoreError;

/// Sorts an error of SQLite, or of the driver, by what can be done about it.
pub(super) fn translate(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match primary_code(&error) {
        // BUSY, LOCKED, IOERR: another process holds the file, or the disk failed this once.
        Some(5 | 6 | IOERR) => StoreError::Unavailable(text),
        Some(13) => StoreError::Full(text),
        Some(8) => StoreError::ReadOnly(text),
        // PERM, CANTOPEN, AUTH, NOTADB.
        Some(3 | 14 | 23 | 26) => StoreError::Open(text),
        _ => StoreError::Corrupt(text),
    }
}

/// The same for an error of COMMIT: a disk that failed then may have kept the transaction or not.
pub(super) fn unless_committed(error: rusqlite::Error) -> StoreError {
    match primary_code(&error) {
        Some(IOERR) | None => StoreError::Unknown(error.to_string()),
        Some(_) => translate(error),
    }
}

const IOERR: i32 = 10;

fn primary_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
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
        assert_eq!(translate(rusqlite::Error::QueryReturnedNoRows).code(), "D007");
    }

    #[test]
    fn a_disk_that_fails_at_a_commit_leaves_it_unknown() {
        assert_eq!(unless_committed(coded(10 | 4 << 8)).code(), "D002");
        assert_eq!(unless_committed(coded(5)).code(), "D001", "it can be tried again");
        assert_eq!(unless_committed(coded(13)).code(), "D003");
    }
}
