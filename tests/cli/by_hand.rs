//! What operators do to tasks and steps, beside a worker and without one.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::{ORDER, Ran, SLOW, STOLEN, World, end_of, eventually, finish};

/// An order whose steps take a while.
const PACED: &str =
    r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "pace_ms": 700 }"#;

fn submit(world: &World, input: &str) -> String {
    world.run(&["run", "order_fulfillment", "-i", input]).ended(0).out.trim().to_owned()
}

/// Does something to the step whose payment failed.
fn payment(world: &World, verb: &str, task: &str, more: &[&str]) -> Ran {
    let mut arguments = vec!["step", verb, task, "process_payment"];
    arguments.extend(more);
    world.run(&arguments)
}

/// Pauses a task between two of its steps, resumes it, and gives what who watched it saw.
fn pause_and_resume(world: &World) -> String {
    let worker = world.dev();
    let task = submit(world, PACED);
    let seen = world.path("seen");
    let mut watching = world.command(&["task", "watch", &task]);
    watching.stdout(Stdio::null()).stderr(std::fs::File::create(&seen).expect("a file can be made"));
    let mut watching = watching.spawn().expect("the program starts");
    let log = || std::fs::read_to_string(&seen).expect("it can be read");
    world.wait_for_step(&task, "reserve_inventory", "running");
    let as_ada = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env("USER", "ada");
        finish(command).ended(0).plain()
    };
    let ran = as_ada(&["task", "pause", &task, "--reason", "the gateway is down"]);
    assert!(ran.err.contains("is paused; what runs goes on to its end") && ran.err.contains("task resume "), "{ran:?}");
    world.run(&["task", "pause", &task]).refused(7, "E104", "is paused: it cannot be paused");
    eventually("the watcher was told", || log().contains("‖ paused by ada: the gateway is down"));
    world.wait_for_step(&task, "reserve_inventory", "completed");
    let shown = world.show(&task);
    assert_eq!((&shown["status"], &shown["steps"][2]["attempts"]), (&json!("paused"), &json!(0)), "{shown}");
    assert_eq!(shown["steps"][2]["current_state"], "ready");
    let shown = world.run(&["task", "show", &task]).ended(0).plain();
    assert!(shown.out.contains("ready, held") && shown.err.contains("paused: nothing of it starts"), "{shown:?}");
    let shown = payment(world, "show", &task, &[]).ended(0);
    assert!(shown.out.contains("ready, held: the task is paused"), "{shown:?}");
    assert_eq!(world.run(&["task", "list", "--state", "paused", "-o", "id"]).ended(0).out.trim(), task);
    let ran = as_ada(&["task", "resume", &task, "-o", "json"]);
    assert_eq!(ran.json(), json!({ "task_uuid": task, "status": "running" }));
    assert_eq!(end_of(&mut watching), 0);
    drop(worker);
    let shown = world.show(&task);
    let kinds: Vec<&Value> = shown["actions"].as_array().expect("it is a list").iter().map(|a| &a["action"]).collect();
    assert_eq!((&shown["status"], kinds), (&json!("completed"), vec![&json!("pause"), &json!("resume")]));
    log()
}

#[test]
fn a_paused_task_is_told_held_back_and_goes_on_when_it_is_resumed() {
    let log = pause_and_resume(&World::new());
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("{words}: {log}"));
    assert!(at("‖ paused by ada") < at("▶ resumed by ada") && at("▶ resumed by ada") < at("✔ completed in"), "{log}");
}

#[test]
fn a_task_on_a_server_is_paused_and_resumed_from_another_process() {
    let Some(world) = World::on_server() else { return };
    pause_and_resume(&world);
}

#[test]
fn a_task_is_paused_and_resumed_where_no_worker_runs() {
    let world = World::new();
    let task = submit(&world, ORDER);
    let ran = world.run(&["task", "pause", &task, "-o", "id"]).ended(0);
    assert_eq!(ran.out.trim(), task);
    let worker = world.dev();
    let other = submit(&world, ORDER);
    world.wait_for_task(&other, "completed");
    assert_eq!(world.show(&task)["status"], "paused", "the worker leaves it alone");
    drop(worker);
    let ran = world.run(&["task", "resume", &task]).ended(0);
    assert!(ran.err.contains("is pending; it goes on") && ran.err.contains("no worker runs"), "{ran:?}");
    world.run(&["task", "resume", &task]).refused(7, "E104", "is pending: it cannot be resumed");
}

/// Completes, skips and resolves steps, and resolves a task.
fn end_by_hand(world: &World) {
    let task = world.order(STOLEN);
    for verb in ["skip", "resolve"] {
        let ran =
            payment(world, verb, &task, &[]).refused(2, "E212", &format!("to {verb} a step by hand needs a reason"));
        assert!(ran.err.contains("--reason"), "{}", ran.err);
    }
    let receipt = r#"{ "payment_id": "CASH-1", "amount": 1.0 }"#;
    payment(world, "complete", &task, &["--result", receipt]).refused(2, "E212", "to complete a step by hand");
    payment(world, "complete", &task, &["--result", "{", "--reason", "x"]).refused(4, "E307", "--result is not JSON");
    payment(world, "complete", &task, &["--reason", "x"]).ended(2);
    payment(world, "complete", &task, &["--result", r#""\u0000""#, "--reason", "x"]).refused(4, "E213", "a NUL");
    payment(world, "skip", &task, &["--reason", &"x".repeat(256)]).refused(4, "E205", "`reason` has 256 bytes");
    assert_eq!(world.show(&task).get("actions"), None, "what is refused is no action");
    world.write("receipt.json", receipt);
    let ran =
        payment(world, "complete", &task, &["--result", "@receipt.json", "--reason", "paid in cash"]).ended(0).plain();
    assert!(ran.err.contains("is running; step `process_payment` is completed by hand"), "{ran:?}");
    assert!(ran.err.contains("no worker runs on this database"), "{ran:?}");
    payment(world, "complete", &task, &["--result", "1", "--reason", "x"]).refused(7, "E106", "is completed");
    let _worker = world.dev();
    world.wait_for_task(&task, "completed");
    let shown = world.show(&task);
    assert_eq!(shown["final_result"]["payment_id"], "CASH-1", "what comes after it reads the result");
    let action = &shown["actions"][0];
    assert_eq!(
        (&action["action"], &action["step"], &action["reason"]),
        (&json!("complete"), &json!("process_payment"), &json!("paid in cash"))
    );
    let watched = world.run(&["task", "watch", &task]).ended(0).plain();
    assert!(watched.err.contains("✔ process_payment") && watched.err.contains(": paid in cash"), "{watched:?}");

    let task = world.order(STOLEN);
    let ran = payment(world, "skip", &task, &["--reason", "a gift", "-o", "json"]).ended(0).json();
    assert_eq!(
        (&ran["task_uuid"], &ran["step"], &ran["status"]),
        (&json!(task), &json!("process_payment"), &json!("running"))
    );
    world.wait_for_task(&task, "failed");
    assert_eq!(world.show(&task)["steps"][2]["current_state"], "skipped");
    let last = |verb, more: &[&str]| {
        let mut arguments = vec!["step", verb, &task, "ship_order"];
        arguments.extend(more);
        world.run(&arguments)
    };
    last("retry", &["--reason", "look again"]).ended(0);
    world.wait_for_task(&task, "failed");
    let ran = last("resolve", &["--reason", "carried over", "-o", "id"]).ended(0);
    assert_eq!(ran.out, last("show", &["-o", "id"]).out);
    let shown = world.show(&task);
    assert_eq!(
        (&shown["status"], &shown["steps"][3]["current_state"]),
        (&json!("completed"), &json!("resolved_manually"))
    );
    let shown = world.run(&["task", "show", &task]).ended(0).plain().out;
    for words in
        ["resolved by hand", "skip     process_payment", "a gift", "retry    ship_order", "resolve  ship_order"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }

    let task = world.order(STOLEN);
    world.run(&["task", "resolve", &task]).refused(2, "E212", "to resolve a task by hand needs a reason");
    let ran = world.run(&["task", "resolve", &task, "--reason", "written off"]).ended(0);
    assert!(ran.err.contains("is resolved by hand"), "{ran:?}");
    world.run(&["task", "retry", &task]).refused(7, "E104", "is resolved_manually: it cannot be retried");
    assert_eq!(world.run(&["task", "list", "-s", "resolved_manually", "-o", "id"]).ended(0).out.trim(), task);
    world.run(&["task", "watch", &task]).ended(0);
    let healthy = world.run(&["doctor", "-o", "json"]).ended(0).json();
    assert_eq!(healthy["healthy"], true, "{healthy}");
}

#[test]
fn steps_and_tasks_are_ended_by_hand() {
    end_by_hand(&World::new());
}

#[test]
fn steps_and_tasks_on_a_server_are_ended_by_hand() {
    let Some(world) = World::on_server() else { return };
    end_by_hand(&world);
}

#[test]
fn a_step_that_runs_is_not_ended_by_hand() {
    let world = World::new();
    let _worker = world.dev();
    let task = submit(&world, SLOW);
    world.wait_for_step(&task, "reserve_inventory", "running");
    let skip = |step: &str| world.run(&["step", "skip", &task, step, "--reason", "x"]);
    let ran = skip("reserve_inventory").refused(7, "E106", "only a step that failed, is ready or waits for its retry");
    assert!(ran.err.contains("task show "), "{ran:?}");
    skip("ship_order").refused(7, "E106", "is pending");
    skip("ship_ordr").refused(3, "E310", "has no step");
}
