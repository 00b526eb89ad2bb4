//! Files that only their owner may read.

use std::path::Path;

use crate::store::StoreError;

/// The shortest page that a database may have.
const PAGE_MIN_BYTES: u64 = 512;

/// Makes an empty file that only its owner may read; leaves one that exists alone.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    let failed = |reason: &dyn std::fmt::Display| StoreError::Open(format!("{}: {reason}", path.display()));
    match private().create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            // SQLite takes so short a file for an empty one, and would write over it. It is not opened to look into
            // it: closing it would drop the locks that this process may have on it.
            let length = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
            if (1..PAGE_MIN_BYTES).contains(&length) { Err(failed(&"file is not a database")) } else { Ok(()) }
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Opens files to write that only their owner may read.
pub(super) fn private() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}
