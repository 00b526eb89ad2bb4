//! What the build may cost.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::run::{output_of, root, say};

/// The most packages that `Cargo.lock` may name. About 30 of them are sqlx's macros and drivers of other databases, which
/// Cargo locks and never builds, about 20 are how other systems (Android, macOS, Windows) check certificates, and 36 came
/// with JSON Schema.
const LOCKED_PACKAGES_MAX: usize = 340;
/// The most packages that a library of handlers compiles.
const HANDLER_PACKAGES_MAX: usize = 70;
/// What a library of handlers must not compile.
const NOT_FOR_HANDLERS: &[&str] = &[
    "rusqlite",
    "libsqlite3-sys",
    "sqlx",
    "sqlx-core",
    "sqlx-postgres",
    "rustls",
    "reqwest",
    "hyper",
    "clap",
    "indicatif",
    "jsonschema",
    "schemars",
    "toml",
];
/// What nothing here may depend on.
const BANNED: &[&str] = &["serde_yaml", "openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys"];

pub(crate) fn check() -> Result<()> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock"))?;
    let locked: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    say(&format!("{} locked packages, at most {LOCKED_PACKAGES_MAX}", locked.len()))?;
    ensure!(locked.len() <= LOCKED_PACKAGES_MAX, "too many locked packages");
    let banned: Vec<&&str> = BANNED.iter().filter(|name| locked.contains(name)).collect();
    ensure!(banned.is_empty(), "banned packages are locked: {banned:?}");

    let tree = output_of(
        env!("CARGO"),
        &[
            "tree",
            "--package",
            "tasker",
            "--no-default-features",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--locked",
        ],
    )?;
    let handlers: BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    say(&format!("{} packages for a library of handlers, at most {HANDLER_PACKAGES_MAX}", handlers.len()))?;
    let unwanted: Vec<&&str> = NOT_FOR_HANDLERS.iter().filter(|name| handlers.contains(**name)).collect();
    ensure!(unwanted.is_empty(), "a library of handlers compiles {unwanted:?}");
    ensure!(handlers.len() <= HANDLER_PACKAGES_MAX, "a library of handlers compiles too much: {handlers:?}");
    Ok(())
}
