//! Databases that are missing, foreign, broken, busy, or not to be written.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use crate::world::{ORDER, World, finish};

/// Runs SQL on a file, on a connection of its own that stays open as long as what is returned.
struct Foreign(rusqlite::Connection);

impl Foreign {
    fn open(world: &World) -> Self {
        Self(rusqlite::Connection::open(world.path("tasker.db")).expect("it opens"))
    }

    fn execute(&mut self, sql: &str) {
        self.0.execute_batch(sql).expect("it is done");
    }
}

#[test]
fn a_read_makes_no_database() {
    let world = World::new();
    for arguments in
        [&["task", "list"][..], &["task", "show"], &["task", "watch"], &["db", "info"], &["task", "cancel", "@last"]]
    {
        let ran = world.run(arguments).refused(3, "E306", "there is no database at ").plain();
        assert!(ran.err.contains("DATABASE_URL"), "{}", ran.err);
    }
    world.run(&["doctor"]).ended(0);
    world.run(&["check"]).ended(0);
    world.run(&["template", "list"]).ended(0);
    world.run(&[]).ended(0);
    assert!(!world.path("tasker.db").exists());
}

#[test]
fn migrate_makes_a_database_that_only_its_owner_may_read() {
    let world = World::new();
    let ran = world.run(&["db", "migrate"]).ended(0);
    assert!(ran.err.contains("was made: schema version "), "{}", ran.err);
    let mode = std::fs::metadata(world.path("tasker.db")).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = world.run(&["db", "migrate", "-o", "json"]).ended(0).json();
    assert_eq!(again["made"], false);
    let info = world.run(&["db", "info"]).ended(0).plain();
    assert!(info.out.contains("wal, synchronous FULL"), "{}", info.out);
    world.run(&["db", "info", "-o", "id"]).ended(0);
}

#[test]
fn the_database_is_beside_the_nearest_settings_file() {
    let world = World::new();
    world.write("tasker.toml", "");
    world.write("inner/deep/file", "");
    let mut command = world.command(&["db", "migrate"]);
    command.current_dir(world.path("inner/deep"));
    finish(command).ended(0);
    assert!(world.path("tasker.db").exists() && !world.path("inner/deep/tasker.db").exists());
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let world = World::new();
    let text = "this is no database, and long enough not to be taken for an empty one".repeat(40);
    world.write("tasker.db", &text);
    world.run(&["task", "list"]).refused(5, "D009", "file is not a database");
    world.run(&["run", "order_fulfillment", "-i", ORDER]).refused(5, "D009", "file is not a database");
    assert_eq!(std::fs::read_to_string(world.path("tasker.db")).expect("it is there"), text);
}

#[test]
fn a_folder_in_place_of_a_database_is_refused() {
    let world = World::new();
    std::fs::create_dir(world.path("tasker.db")).expect("a folder can be made");
    world.run(&["task", "list"]).refused(5, "D009", "cannot open the database");
    world.run(&["run", "order_fulfillment", "--db", "no/such/folder/tasker.db"]).refused(5, "D009", "no/such/folder");
}

#[test]
fn a_newer_database_is_refused() {
    let world = World::new();
    world.order(ORDER);
    let mut foreign = Foreign::open(&world);
    foreign.execute("INSERT INTO tasker_migrations SELECT 999, description, installed_on, success, checksum, execution_time FROM tasker_migrations LIMIT 1");
    drop(foreign);
    let ran = world.run(&["task", "list"]).refused(5, "D005", "the database's schema is at version 999");
    assert!(ran.err.contains("a newer version of the program"), "{}", ran.err);
}

#[test]
fn a_locked_database_is_waited_for_and_then_told() {
    let world = World::new();
    world.order(ORDER);
    let mut foreign = Foreign::open(&world);
    foreign.execute("BEGIN IMMEDIATE");
    // Reads go on.
    world.run(&["task", "list"]).ended(0);
    world.run(&["run", "order_fulfillment", "-i", ORDER]).refused(5, "D001", "database is locked");
    foreign.execute("ROLLBACK");
    world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0);
}

#[test]
fn a_database_that_cannot_be_written_is_refused() {
    const NOBODY: u32 = 65_534;
    let world = World::new();
    world.order(ORDER);
    let allow = |name: &str, mode: u32| {
        std::fs::set_permissions(world.path(name), Permissions::from_mode(mode)).expect("it is ours");
    };
    let mut command = world.command(&["run", "order_fulfillment", "-i", ORDER]);
    if rustix::process::geteuid().is_root() {
        // The superuser may write everything, so somebody else tries, with a program that he may read.
        std::fs::copy(command.get_program(), world.path("program")).expect("it can be copied");
        allow("program", 0o755);
        command = std::process::Command::new(world.path("program"));
        command.args(["run", "order_fulfillment", "-i", ORDER]).current_dir(world.path("")).env_clear().uid(NOBODY);
    }
    allow("tasker.db", 0o444);
    allow("", 0o555);
    let ran = finish(command);
    allow("", 0o755);
    ran.refused(6, "D004", "read-only");
}

#[test]
fn rows_that_contradict_each_other_are_found_by_the_doctor() {
    let world = World::new();
    world.order(ORDER);
    let mut foreign = Foreign::open(&world);
    foreign.execute("DELETE FROM step_results WHERE number = 1");
    drop(foreign);
    let ran = world.run(&["doctor"]).refused(1, "E317", "1 problem found");
    assert!(ran.out.contains("✖ invariants") && ran.out.contains("invariant 9"), "{}", ran.out);
    let ran = world.run(&["doctor", "-o", "json"]).ended(1);
    assert_eq!(ran.json()["healthy"], false);
    assert_eq!(world.run(&["doctor", "-o", "id"]).ended(1).out, "invariants\n");
    world.run(&["doctor", "--quick"]).ended(0);
}
