//! `new`: a project that builds as it stands, and runs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::world::World;

#[test]
fn a_new_project_builds_offline_and_runs() {
    let world = World::new();
    let ran = world.stock(&["new", "my-app"]).ended(0).plain();
    assert!(ran.err.contains("cargo run -- dev"), "{}", ran.err);
    let folder = world.path("my-app");
    // The versions that this workspace is built with are those that are on this machine.
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"), folder.join("Cargo.lock"))
        .expect("it is there");
    // With the workspace's settings, what it has built already is built once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in a folder");
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).current_dir(&folder).env("CARGO_TARGET_DIR", target);
        command.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only").env_remove("DATABASE_URL");
        let output = command.output().expect("cargo starts");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{err}");
        assert!(!err.contains("--> src/"), "{err}");
        output
    };
    let output =
        cargo(&["run", "-q", "--offline", "--", "run", "order_fulfillment", "-i", "@examples/order.json", "--wait"]);
    let result: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(result["order_total"], 59.98);
    assert!(folder.join("tasker.db").exists());
    let tests = cargo(&["test", "-q", "--offline"]);
    assert!(String::from_utf8_lossy(&tests.stdout).contains("2 passed"), "{tests:?}");
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let world = World::new();
    world.write("full/file", "mine");
    world.stock(&["new", "full"]).refused(7, "E315", "full is not empty");
    world.stock(&["new", "full/file"]).refused(7, "E315", "is not a folder");
    assert_eq!(std::fs::read_dir(world.path("full")).expect("it is there").count(), 1);
    std::fs::create_dir(world.path("empty")).expect("a folder can be made");
    world.stock(&["new", "empty", "-o", "json"]).ended(0);
    assert!(world.path("empty/src/main.rs").exists());
}

#[test]
fn the_source_can_be_named() {
    let world = World::new();
    world.stock(&["new", "a", "--path", env!("CARGO_MANIFEST_DIR")]).ended(0);
    let manifest = std::fs::read_to_string(world.path("a/Cargo.toml")).expect("it was made");
    assert!(manifest.contains(env!("CARGO_MANIFEST_DIR")) && manifest.contains("[workspace]"), "{manifest}");
    world.stock(&["new", "b", "--path", "."]).refused(4, "E319", "is not the source of tasker");
    world.stock(&["new", "b", "--path", "missing"]).refused(4, "E308", "missing cannot be read");
    assert!(!world.path("b").exists());
}
