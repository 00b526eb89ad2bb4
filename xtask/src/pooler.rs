//! The transaction pooler that the tests put between workers and server.

use std::path::PathBuf;

use anyhow::Result;

use crate::install::{command, install};
use crate::run::say;

const PROGRAM: &str = "pgbouncer";

/// Has it installed where it is missing; where that cannot be, its tests skip themselves and are counted.
pub(crate) fn provide() -> Result<()> {
    if !is_there() && !(install(PROGRAM)? && is_there()) {
        say(&format!("there is no {PROGRAM}; to have it: {}", command(PROGRAM)))?;
    }
    Ok(())
}

fn is_there() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps it where only root looks.
    std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|folder| folder.join(PROGRAM).is_file())
}
