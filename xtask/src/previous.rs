//! The program as it was one commit ago: two versions must work on one database while tasks flow.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::run::{output_of, root, say};

/// Where tests find the program of the commit before.
pub(crate) const VARIABLE: &str = "TASKER_TEST_PREVIOUS";
const EXAMPLE: &str = "order_fulfillment";

/// Builds the example of the commit before this one; nothing where the history does not go back so far.
pub(crate) fn build() -> Result<Option<PathBuf>> {
    let Ok(commit) = output_of("git", &["rev-parse", "--verify", "--quiet", "HEAD^1"]) else {
        say("the history ends here: what the commit before built cannot be tried beside this one")?;
        return Ok(None);
    };
    let commit = commit.trim();
    let folder = root().join("target/previous");
    let source = folder.join(commit);
    let program = folder.join("target/debug/examples").join(EXAMPLE);
    let built = folder.join("built");
    if program.is_file() && std::fs::read_to_string(&built).is_ok_and(|of| of == commit) {
        return Ok(Some(program));
    }
    std::fs::create_dir_all(&source)?;
    let mut archive =
        Command::new("git").args(["archive", commit]).current_dir(root()).stdout(Stdio::piped()).spawn()?;
    let text = archive.stdout.take().context("the archive can be read")?;
    let unpacked = Command::new("tar").arg("-x").current_dir(&source).stdin(text).status()?;
    ensure!(unpacked.success() && archive.wait()?.success(), "commit {commit} cannot be unpacked");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--example", EXAMPLE]).current_dir(&source);
    build.env("CARGO_TARGET_DIR", folder.join("target"));
    ensure!(build.status()?.success(), "commit {commit} does not build");
    std::fs::remove_dir_all(&source)?;
    std::fs::write(built, commit)?;
    Ok(Some(program))
}
