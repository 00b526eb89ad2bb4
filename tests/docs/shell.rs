//! Runs the commands of a document as they stand, in folders of their own.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::blocks::{Step, first_missing};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The longest time that a command may take; it may have to build something.
const DEADLINE: Duration = Duration::from_secs(600);
/// The longest time until one that runs until it is stopped has printed what it should.
const SERVES_DEADLINE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Stands for `cargo` in the document's commands: what the tests have built is not built again, and nothing is fetched.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
"run --release -- "*) shift 3; exec "$TASKER_STOCK" "$@" ;;
*) exec "$REAL_CARGO" "$@" ;;
esac
"#;

/// A folder with `tasker/`, where the document's first commands run, and beside it what they make.
pub(crate) struct Shell {
    folder: TempDir,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let shell = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        shell.write("tasker/.keep", "");
        shell.write("bin/cargo", CARGO);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(shell.path("bin/cargo"), mode).expect("it is there");
        shell
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }

    /// Lets a project be built from what is on this machine, into the folder of this workspace's own builds.
    pub(crate) fn adopt(&self, project: &str) {
        std::fs::copy(Path::new(ROOT).join("Cargo.lock"), self.path(project).join("Cargo.lock"))
            .expect("it can be copied");
        std::os::unix::fs::symlink(target(), self.path(project).join("target")).expect("it is not there yet");
    }

    /// Runs a command and checks what it prints. One that runs until it is stopped is stopped with Ctrl-C, once it has
    /// printed what it should.
    pub(crate) fn run(&self, folder: &str, step: &Step<'_>) {
        let log = self.path("output.log");
        let file = File::create(&log).expect("a log can be made");
        let mut command = Command::new("sh");
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").expect("there is a PATH"));
        for (variable, _) in std::env::vars() {
            let ours = variable.starts_with("TASKER_") || variable.starts_with("CARGO_");
            if ours || ["DATABASE_URL", "CARGO", "NO_COLOR", "CLICOLOR_FORCE"].contains(&variable.as_str()) {
                command.env_remove(variable);
            }
        }
        if let Some(home) = std::env::var_os("CARGO_HOME") {
            command.env("CARGO_HOME", home);
        }
        command
            .args(["-c", step.command])
            .current_dir(self.path(folder))
            .env("PATH", path)
            .env("REAL_CARGO", env!("CARGO"))
            .env("TASKER_STOCK", env!("CARGO_BIN_EXE_tasker"))
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("it can be shared"))
            .stderr(file)
            .process_group(0);
        let mut child = command.spawn().expect("there is a shell");
        let printed = || std::fs::read_to_string(&log).expect("the log can be read");
        let serves = step.command.ends_with("-- dev");
        let killed = step.command.starts_with("timeout -s KILL");
        let began = Instant::now();
        let mut stopped = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("it can be asked") {
                break status;
            }
            if serves && !stopped && first_missing(&step.prints, &printed()).is_none() {
                let group = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process_group(group, rustix::process::Signal::INT).expect("it is there");
                stopped = true;
            }
            if began.elapsed() > if serves { SERVES_DEADLINE } else { DEADLINE } {
                let group = rustix::process::Pid::from_child(&child);
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                panic!("`{}` takes too long:\n{}", step.command, printed());
            }
            std::thread::sleep(LOOK_AGAIN);
        };
        let missing = first_missing(&step.prints, &printed());
        assert_eq!(missing, None, "`{}` does not print this line:\n{}", step.command, printed());
        // Cargo itself ends with 130 when both get the signal.
        let well = status.success() || killed || stopped;
        assert!(well, "`{}` ended with {status}:\n{}", step.command, printed());
    }
}

/// The folder that this workspace builds into.
fn target() -> &'static Path {
    let tasker = Path::new(env!("CARGO_BIN_EXE_tasker"));
    tasker.ancestors().nth(2).expect("it is in the folder of its profile")
}
