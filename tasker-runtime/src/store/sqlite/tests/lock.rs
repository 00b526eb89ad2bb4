use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use super::file::Folder;
use crate::store::sqlite::WorkerLock;

#[test]
fn one_worker_at_a_time_has_the_lock() {
    let folder = Folder::new();
    let first = WorkerLock::try_take(&folder.database()).unwrap();
    assert!(first.is_some());
    assert!(WorkerLock::try_take(&folder.database()).unwrap().is_none());
    let other = WorkerLock::try_take(&folder.file("other.db")).unwrap();
    assert!(other.is_some(), "another file has another worker");
    drop(first);
    assert!(WorkerLock::try_take(&folder.database()).unwrap().is_some());
    assert!(!folder.database().exists(), "the database itself is not touched");
}

#[test]
fn a_file_has_one_lock_by_all_its_names() {
    let folder = Folder::new();
    std::fs::write(folder.database(), "").unwrap();
    std::os::unix::fs::symlink(folder.database(), folder.file("link.db")).unwrap();
    let _lock = WorkerLock::try_take(&folder.file("link.db")).unwrap();
    assert!(WorkerLock::try_take(&folder.database()).unwrap().is_none());
    assert!(WorkerLock::try_take(&folder.file("./link.db")).unwrap().is_none());
}

#[test]
fn only_its_owner_may_open_the_lock() {
    let folder = Folder::new();
    let _lock = WorkerLock::try_take(&folder.database()).unwrap();
    let mode = std::fs::metadata(folder.file("tasker.db.lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_lock_in_a_folder_that_does_not_exist_is_an_error() {
    let folder = Folder::new();
    assert!(WorkerLock::try_take(&folder.file("none/tasker.db")).is_err());
}

#[test]
fn the_lock_of_another_process_ends_with_its_death() {
    let folder = Folder::new();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::sqlite::tests::lock::holds_the_lock_until_it_is_killed", "--ignored", "--nocapture"])
        .env(HELD, folder.database())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("it is held")));
    assert!(WorkerLock::try_take(&folder.database()).unwrap().is_none());
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(WorkerLock::try_take(&folder.database()).unwrap().is_some());
}

/// Names the file to the process that holds its lock.
const HELD: &str = "TASKER_TEST_HELD_LOCK";

#[test]
#[ignore = "it is the other process of the test above"]
fn holds_the_lock_until_it_is_killed() {
    let Some(path) = std::env::var_os(HELD) else { return };
    let _lock = WorkerLock::try_take(path.as_ref()).unwrap().expect("nobody else has it");
    println!("it is held");
    // It ends when the test that started it closes the pipe, if it was not killed before.
    _ = std::io::stdin().read_line(&mut String::new());
}
