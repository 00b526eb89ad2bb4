//! Programs of Debian's packages that tests need.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::run::say;

/// Installs a package where this needs nobody's password. Tells whether it is there now.
pub(crate) fn install(package: &str) -> Result<bool> {
    say(&format!("there is no {package}; trying: {}", words(package).join(" ")))?;
    // A machine that was just made has no lists of packages yet.
    Ok(run(&words(package))? || (run(&["apt-get", "update"])? && run(&words(package))?))
}

fn run(words: &[&str]) -> Result<bool> {
    let mut command = if is_root()? {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    };
    command.arg("DEBIAN_FRONTEND=noninteractive").args(words).stdin(Stdio::null());
    Ok(command.status().is_ok_and(|status| status.success()))
}

/// What a person types to have it.
pub(crate) fn command(package: &str) -> String {
    format!("sudo {}", words(package).join(" "))
}

fn words(package: &str) -> [&str; 5] {
    ["apt-get", "install", "--yes", "--no-install-recommends", package]
}

pub(crate) fn is_root() -> Result<bool> {
    Ok(Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0")
}
