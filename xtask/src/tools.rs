//! What the tests of faults need beside a server: a transaction pooler, and a library that tells a process another time.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::install::{command, install};
use crate::run::say;

/// Has installed what is missing; where that cannot be, the tests skip themselves and are counted.
pub(crate) fn provide() -> Result<()> {
    need("pgbouncer", has_pooler)?;
    need("libfaketime", has_clock)
}

fn need(package: &str, is_there: impl Fn() -> bool) -> Result<()> {
    if is_there() {
        return Ok(());
    }
    install(package)?;
    if !is_there() {
        say(&format!("there is no {package}; to have it: {}", command(package)))?;
    }
    Ok(())
}

fn has_pooler() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps it where only root looks.
    std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|folder| folder.join("pgbouncer").is_file())
}

fn has_clock() -> bool {
    let mut folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.any(|folder| folder.path().join(Path::new("faketime/libfaketimeMT.so.1")).is_file())
}
