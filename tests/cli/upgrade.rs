//! The program of the commit before and this one, on one database while tasks flow.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::server::count_as_not_run;
use crate::world::{ORDER, Ran, World, finish};

const VARIABLE: &str = "TASKER_TEST_PREVIOUS";
/// An order of which each step takes a moment.
const FLOWING: &str =
    r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "pace_ms": 40 }"#;

/// The program as it was one commit ago. `cargo xtask test` builds it.
fn previous() -> Option<PathBuf> {
    let found = std::env::var_os(VARIABLE).map(PathBuf::from);
    if found.is_none() {
        let told = format!("not run: `cargo xtask test` builds the commit before and sets {VARIABLE}");
        writeln!(std::io::stderr(), "{told}").expect("it can be said");
        count_as_not_run();
    }
    found
}

struct Old<'w>(&'w World, PathBuf);

impl Old<'_> {
    /// The old program in the place of the new one.
    fn command(&self, arguments: &[&str]) -> Command {
        let new = self.0.command(arguments);
        let mut old = Command::new(&self.1);
        old.args(arguments).stdin(Stdio::null());
        old.current_dir(new.get_current_dir().expect("it runs in the folder of the test"));
        for (variable, value) in new.get_envs() {
            match value {
                Some(value) => old.env(variable, value),
                None => old.env_remove(variable),
            };
        }
        old
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments))
    }
}

fn submit(ran: Ran) -> String {
    ran.ended(0).out.trim().to_owned()
}

#[test]
fn two_versions_share_a_server_while_tasks_flow() {
    let Some(previous) = previous() else { return };
    let Some(world) = World::on_server() else { return };
    let old = Old(&world, previous);
    let arguments = ["run", "order_fulfillment", "-i", FLOWING, "-o", "id"];
    // The old one makes the database, the new one brings it up to date under its feet.
    let old_worker = world.dev_of(old.command(&["dev"]));
    let mut tasks: Vec<String> = (0..5).map(|_| submit(old.run(&arguments))).collect();
    let new_worker = world.dev();
    for _ in 0..5 {
        tasks.push(submit(old.run(&arguments)));
        tasks.push(submit(world.run(&arguments)));
    }
    old_worker.signal(Signal::TERM);
    assert_eq!(old_worker.wait(), 0);
    // Back again, as after a release that was regretted.
    let old_worker = world.dev_of(old.command(&["dev"]));
    new_worker.signal(Signal::TERM);
    assert_eq!(new_worker.wait(), 0);
    tasks.push(submit(world.run(&arguments)));
    for task in &tasks {
        world.wait_for_task(task, "completed");
    }
    drop(old_worker);
    world.run(&["doctor"]).ended(0);
    old.run(&["doctor"]).ended(0);
}

#[test]
fn a_file_goes_from_version_to_version_and_back() {
    let Some(previous) = previous() else { return };
    let world = World::new();
    let old = Old(&world, previous);
    let wait = ["run", "order_fulfillment", "-i", ORDER, "--wait", "-o", "id"];
    let first = submit(old.run(&wait));
    let waiting = submit(old.run(&["run", "order_fulfillment", "-i", FLOWING, "-o", "id"]));
    let second = submit(world.run(&wait));
    let third = submit(old.run(&wait));
    let _worker = world.dev();
    for task in [first, waiting, second, third] {
        world.wait_for_task(&task, "completed");
    }
    world.run(&["doctor"]).ended(0);
}
