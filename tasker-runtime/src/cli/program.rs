//! How this program was called, so that what it tells to type works when it is typed.

use std::path::Path;

use crate::app::settings::Place;

/// How this program was called.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The name of its file.
    pub(crate) name: String,
    /// What stands before a command: `tasker`, or `cargo run --`.
    prefix: String,
    /// What has to stand behind a command to mean the same database.
    suffix: String,
}

impl Program {
    /// This one.
    pub(crate) fn this() -> Self {
        let typed = std::env::args().next().unwrap_or_default();
        let file = std::env::current_exe().ok();
        let file = file.as_deref().unwrap_or(Path::new(&typed));
        let name = file.file_stem().map_or_else(|| "tasker".to_owned(), |name| name.to_string_lossy().into_owned());
        // Cargo sets both for what `cargo run` starts, and only the second for what a test starts.
        let by_cargo = std::env::var_os("CARGO").is_some() && std::env::var_os("CARGO_MANIFEST_DIR").is_some();
        let prefix = if by_cargo {
            cargo_run(file, &name)
        } else if typed.is_empty() {
            name.clone()
        } else {
            typed
        };
        Self { name, prefix, suffix: String::new() }
    }

    /// The same program, told to use another database than it would by itself.
    pub(crate) fn on_database(&self, place: &Place) -> Self {
        let suffix = place.argument().map(|place| format!(" --db {}", quoted(&place))).unwrap_or_default();
        Self { suffix, ..self.clone() }
    }

    /// A command as it is typed.
    pub(crate) fn command(&self, verb: &str) -> String {
        format!("{} {verb}{}", self.prefix, self.suffix)
    }
}

/// `cargo run` with what it takes to run this file.
fn cargo_run(file: &Path, name: &str) -> String {
    let folder = |nth: usize| {
        file.ancestors().nth(nth).and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned())
    };
    let example = folder(1).as_deref() == Some("examples");
    let profile = if example { folder(2) } else { folder(1) };
    let mut command = "cargo run".to_owned();
    if profile.as_deref() == Some("release") {
        command.push_str(" --release");
    }
    if example {
        command.push_str(" --example ");
        command.push_str(name);
    }
    command.push_str(" --");
    command
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
