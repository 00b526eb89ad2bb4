//! `dev`: the worker, its signals, its death, and the processes beside it.

use rustix::process::Signal;
use serde_json::json;

use crate::world::{ORDER, SLOW, World, eventually};

#[test]
fn a_worker_says_what_it_has_and_what_it_did() {
    let world = World::new();
    let worker = world.dev();
    let log = worker.log();
    for words in
        ["order_fulfillment 0.1.0", "tasker.db (0 open tasks, 0 failed)", "order_fulfillment 1.0.0", "ship_order"]
    {
        assert!(log.contains(words), "{words}: {log}");
    }
    let task = world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0).out.trim().to_owned();
    world.wait_for_task(&task, "completed");
    eventually("the worker tells of it", || worker.log().contains(&format!("✔ order_fulfillment {}", &task[..13])));
    assert!(!worker.log().contains(|c: char| c.is_control() && c != '\n'));
}

#[test]
fn a_second_worker_is_refused() {
    let world = World::new();
    let worker = world.dev();
    let ran = world.run(&["dev"]).refused(7, "D008", "another process runs a worker on ");
    assert!(ran.err.contains("--db"), "{}", ran.err);
    world.run(&["dev", "-o", "json"]).ended(7);
    drop(worker);
}

#[test]
fn sigterm_drains_what_runs() {
    let world = World::new();
    let worker = world.dev();
    let input =
        r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "pace_ms": 1200 }"#;
    let task = world.run(&["run", "order_fulfillment", "-i", input]).ended(0).out.trim().to_owned();
    world.wait_for_step(&task, "reserve_inventory", "running");
    worker.signal(Signal::TERM);
    eventually("the worker tells that it waits", || worker.log().contains("waiting for 1 running step to end"));
    assert_eq!(worker.wait(), 0);
    // The step that ran came to its end, and nothing was begun after the signal.
    let steps = &world.show(&task)["steps"];
    assert_eq!((&steps[1]["current_state"], &steps[1]["attempts"]), (&json!("completed"), &json!(1)));
    assert_eq!((&steps[2]["current_state"], &steps[2]["attempts"]), (&json!("ready"), &json!(0)));
}

#[test]
fn what_outlasts_the_drain_is_given_back_unharmed() {
    let world = World::new();
    world.write("tasker.toml", "drain_seconds = 0.05");
    let worker = world.dev();
    let task = world.run(&["run", "order_fulfillment", "-i", SLOW]).ended(0).out.trim().to_owned();
    world.wait_for_step(&task, "reserve_inventory", "running");
    worker.signal(Signal::INT);
    assert_eq!(worker.wait(), 0);
    let step = world.run(&["step", "show", &task, "reserve_inventory", "-o", "json"]).ended(0).json();
    assert_eq!((&step["current_state"], &step["history"][0]["outcome"]), (&json!("ready"), &json!("released")));
}

#[test]
fn a_second_signal_gives_up_at_once_and_the_next_worker_recovers() {
    let world = World::new();
    let worker = world.dev();
    let task = world.run(&["run", "order_fulfillment", "-i", SLOW]).ended(0).out.trim().to_owned();
    world.wait_for_step(&task, "reserve_inventory", "running");
    worker.signal(Signal::INT);
    eventually("it waits", || worker.log().contains("waiting for 1 running step"));
    worker.signal(Signal::INT);
    assert_eq!(worker.wait(), 130);
    let next = world.dev();
    assert!(next.log().contains("recovered 1 task"), "{}", next.log());
}

#[test]
fn a_killed_worker_is_recovered_from_and_its_successor_says_so() {
    let world = World::new();
    let worker = world.dev();
    let task = world.run(&["run", "order_fulfillment", "-i", SLOW]).ended(0).out.trim().to_owned();
    world.wait_for_step(&task, "reserve_inventory", "running");
    worker.kill();
    let doctor = world.run(&["doctor"]).ended(0);
    assert!(doctor.out.contains("none, and steps are marked as running"), "{}", doctor.out);
    let next = world.dev();
    let said = format!("recovered 1 task: order_fulfillment {} (1 of 4 steps done)", &task[..13]);
    assert!(next.log().contains(&said), "{}", next.log());
    world.wait_for_step(&task, "reserve_inventory", "running");
    let step = world.run(&["step", "show", &task, "reserve_inventory", "-o", "json"]).ended(0).json();
    assert_eq!((&step["attempts"], &step["history"][0]["outcome"]), (&json!(2), &json!("lost")));
    let doctor = world.run(&["doctor"]).ended(0);
    assert!(doctor.out.contains("all hold in 1 task"), "{}", doctor.out);
}

#[test]
fn everything_else_works_beside_a_worker() {
    let world = World::new();
    let worker = world.dev();
    let task = world.run(&["run", "order_fulfillment", "-i", SLOW]).ended(0).out.trim().to_owned();
    world.wait_for_step(&task, "reserve_inventory", "running");
    for arguments in [
        &["task", "list"][..],
        &["task", "show"],
        &["step", "show", "@last", "ship_order"],
        &["template", "list"],
        &["check"],
        &["doctor"],
        &["db", "info"],
        &["db", "migrate"],
        &[],
    ] {
        world.run(arguments).ended(0).plain();
    }
    let info = world.run(&["db", "info", "-o", "json"]).ended(0).json();
    assert_eq!((&info["worker_runs"], &info["running_steps"]), (&json!(true), &json!(1)));
    world.stock(&["task", "cancel", &task]).ended(0);
    drop(worker);
}

#[test]
fn many_tasks_are_submitted_from_many_processes_at_once() {
    let world = World::new();
    let worker = world.dev();
    let mut submits: Vec<_> = (0..12)
        .map(|_| world.command(&["run", "order_fulfillment", "-i", ORDER, "-q"]).spawn().expect("the program starts"))
        .collect();
    for submit in &mut submits {
        assert_eq!(crate::world::end_of(submit), 0);
    }
    eventually("all are completed", || {
        world.run(&["task", "list", "--state", "completed", "-o", "id"]).out.lines().count() == 12
    });
    drop(worker);
    world.run(&["doctor"]).ended(0);
}

#[test]
fn a_worker_warns_of_steps_that_it_cannot_run() {
    let world = World::new();
    world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0);
    let doctor = world.stock(&["doctor"]).ended(0).plain();
    assert!(doctor.out.contains("this program does not have handler `validate_order`"), "{}", doctor.out);
    let mut command = world.stock_command(&["dev"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("the program starts");
    let mut stderr = child.stderr.take().expect("it is piped");
    let mut said = String::new();
    let mut byte = [0; 256];
    while !said.contains("ready;") {
        let read = std::io::Read::read(&mut stderr, &mut byte).expect("it can be read");
        assert!(read > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&byte[..read]));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(said.contains("need handlers that this program does not have: `validate_order`"), "{said}");
}
