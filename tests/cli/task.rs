//! `task` and `step`: what became of tasks, and what an operator does to them.

use serde_json::json;

use crate::world::{ORDER, SLOW, STOLEN, World, finish};

#[test]
fn a_list_is_for_people_programs_and_pipes() {
    let world = World::new();
    let (first, second) = (world.order(ORDER), world.order(STOLEN));
    let ran = world.run(&["task", "list"]).ended(0).plain();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].trim().starts_with("TASK"));
    assert!(lines[1].starts_with("✖ ") && lines[1].contains("failed") && lines[1].contains("2/4"), "{}", lines[1]);
    assert!(lines[2].starts_with("✔ ") && lines[2].contains("completed") && lines[2].contains("4/4"), "{}", lines[2]);
    let ids = world.run(&["task", "list", "-o", "id"]).ended(0);
    assert_eq!(ids.out, format!("{second}\n{first}\n"));
    let listed = world.run(&["task", "list", "-o", "json"]).ended(0).json();
    assert_eq!(
        (&listed[0]["task_uuid"], &listed[0]["status"], &listed[0]["open_steps"]),
        (&json!(second), &json!("failed"), &json!(2))
    );
    let lines = world.run(&["task", "list", "-o", "jsonl"]).ended(0);
    assert_eq!(lines.out.lines().count(), 2);
}

#[test]
fn a_list_is_cut_filtered_and_continued() {
    let world = World::new();
    let (first, second, third) = (world.order(ORDER), world.order(STOLEN), world.order(ORDER));
    let ids = |arguments: &[&str]| {
        let mut all = vec!["task", "list", "-o", "id"];
        all.extend(arguments);
        world.run(&all).ended(0).out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--state", "failed"]), vec![second.clone()]);
    assert_eq!(ids(&["-s", "failed", "-s", "completed", "--limit", "2"]), [third.clone(), second.clone()]);
    assert_eq!(ids(&["--before", &second]), [first]);
    assert_eq!(ids(&["--template", "other"]), Vec::<String>::new());
    assert_eq!(ids(&["--namespace", "ecommerce", "--limit", "1"]), [third]);
    let more = world.run(&["task", "list", "--limit", "1"]).ended(0);
    assert!(more.err.contains("older ones: `"), "{}", more.err);
    world.run(&["task", "list", "--template", "other"]).ended(0);
}

#[test]
fn a_short_id_in_a_list_means_its_task() {
    let world = World::new();
    let all: Vec<String> = (0..5).map(|_| world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0).out).collect();
    let listed = world.run(&["task", "list"]).ended(0).out;
    for (line, whole) in listed.lines().skip(1).zip(all.iter().rev()) {
        let short = line.split_whitespace().nth(1).expect("it has an id");
        assert!(whole.starts_with(short) && short.len() < 36);
        assert_eq!(world.run(&["task", "show", short, "-o", "id"]).ended(0).out, *whole);
        let digits = short.replace('-', "").to_uppercase();
        assert_eq!(world.run(&["task", "show", &digits, "-o", "id"]).ended(0).out, *whole);
    }
}

#[test]
fn digits_that_several_ids_begin_with_are_not_enough() {
    let world = World::new();
    let (first, second) = (world.order(ORDER), world.order(ORDER));
    let ran = world.run(&["task", "show", &first[..2]]).refused(2, "E305", "the ids of several tasks begin with");
    assert!(ran.err.contains(&first) && ran.err.contains(&second), "{}", ran.err);
}

#[test]
fn the_last_task_and_the_last_of_a_state_have_names() {
    let world = World::new();
    let (failed, last) = (world.order(STOLEN), world.order(ORDER));
    let id = |text: &str| world.run(&["task", "show", text, "-o", "id"]).ended(0).out.trim().to_owned();
    assert_eq!((id("@last"), id("@last:failed"), id("@last:completed")), (last.clone(), failed, last.clone()));
    assert_eq!(world.run(&["task", "show", "-o", "id"]).out.trim(), last);
}

#[test]
fn a_task_is_shown_with_its_steps_and_what_it_was_given() {
    let world = World::new();
    let task = world.order(STOLEN);
    let ran = world.run(&["task", "show", &task]).ended(0).plain();
    for words in [
        &*task,
        "failed in",
        "order_fulfillment 1.0.0 in ecommerce",
        "\"card\":\"stolen\"",
        "✔ validate_order",
        "✖ process_payment",
        "1/3",
        "permanent_error: the card was declined",
        "· ship_order",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    assert!(!ran.out.contains("count as lost"), "{}", ran.out);
    let task = world
        .run(&["run", "order_fulfillment", "-i", ORDER, "--claim-timeout-seconds", "300", "-o", "id"])
        .ended(0)
        .out;
    let ran = world.run(&["task", "show", task.trim()]).ended(0).plain();
    assert!(ran.out.contains("count as lost after 5 min"), "{}", ran.out);
}

#[test]
fn a_step_is_shown_with_its_attempts() {
    let world = World::new();
    world.order(
        r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "payment": { "timeouts": 2 } }"#,
    );
    let ran = world.run(&["step", "show", "@last", "process_payment"]).ended(0).plain();
    for words in [
        "attempt     3 of at most 3",
        "1        failed",
        "timeout: the gateway did not answer",
        "\"payment_id\": \"PAY-1\"",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let step = world.run(&["step", "show", "@last", "process_payment", "-o", "json"]).ended(0).json();
    assert_eq!((&step["attempts"], &step["history"].as_array().map(Vec::len)), (&json!(3), &Some(2)));
    assert_eq!(step["history"][0]["error"]["error_code"], "GATEWAY_TIMEOUT");
    let id = world.run(&["step", "show", "@last", "process_payment", "-o", "id"]).ended(0);
    assert_eq!(id.out.trim(), step["step_uuid"].as_str().expect("it is text"));
    // A step's id leads to its task.
    world.run(&["task", "show", id.out.trim()]).ended(0);
}

#[test]
fn a_failed_task_is_retried_and_what_succeeded_is_not_run_again() {
    let world = World::new();
    let task = world.order(STOLEN);
    let ran = world.run(&["task", "retry", &task, "--reason", "a new card"]).ended(0).plain();
    assert!(ran.err.contains("no worker runs on this database"), "{}", ran.err);
    let worker = world.dev();
    world.wait_for_task(&task, "failed");
    drop(worker);
    let steps = &world.show(&task)["steps"];
    assert_eq!((&steps[0]["attempts"], &steps[2]["attempts"]), (&json!(1), &json!(2)));
    let ran = world.run(&["task", "retry", &task, "--step", "process_payment", "-o", "json"]).ended(0);
    assert_eq!(ran.json()["task_uuid"], json!(task));
    assert_eq!(world.run(&["task", "cancel", &task, "-o", "id"]).ended(0).out.trim(), task);
}

#[test]
fn what_operators_did_is_shown_with_who_and_why() {
    let world = World::new();
    let task = world.order(STOLEN);
    assert_eq!(world.show(&task).get("actions"), None, "nobody intervened");
    assert!(!world.run(&["task", "show", &task]).ended(0).out.contains("ACTION"));
    let as_user = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env("USER", "ada\u{1b}[2J");
        finish(command).ended(0)
    };
    as_user(&["task", "retry", &task, "--step", "process_payment", "--reason", "a new card"]);
    as_user(&["task", "cancel", &task, "--yes", "--reason", "changed their mind"]);
    let actions = &world.show(&task)["actions"];
    assert_eq!(actions.as_array().map(Vec::len), Some(2), "{actions}");
    let (first, second) = (&actions[0], &actions[1]);
    assert_eq!(
        (&first["action"], &first["step"], &first["reason"]),
        (&json!("retry"), &json!("process_payment"), &json!("a new card"))
    );
    assert_eq!(
        (&second["action"], &second["step"], &second["reason"]),
        (&json!("cancel"), &json!(null), &json!("changed their mind"))
    );
    assert!(first["at"].as_str() < second["at"].as_str(), "{actions}");
    assert!(first["actor"].as_str().is_some_and(|actor| actor.contains("ada")), "{first}");
    let shown = world.run(&["task", "show", &task]).ended(0).plain().out;
    let at = |words: &str| shown.find(words).unwrap_or_else(|| panic!("{words}: {shown}"));
    assert!(
        at("retry   process_payment  ada") < at("a new card") && at("a new card") < at("changed their mind"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_retried_or_cancelled_is_a_conflict() {
    let world = World::new();
    let task = world.order(ORDER);
    world.run(&["task", "retry", &task]).refused(7, "E104", "is completed: it cannot be retried");
    world.run(&["task", "cancel", &task]).refused(7, "E104", "is completed: it cannot be cancelled");
    let task = world.order(STOLEN);
    world.run(&["task", "retry", &task, "--step", "validate_order"]).refused(
        7,
        "E106",
        "only a step that failed can be retried",
    );
    world.run(&["task", "retry", &task, "--step", "nothing"]).refused(3, "E310", "has no step `nothing`");
}

#[test]
fn a_running_task_is_cancelled_from_another_process() {
    let world = World::new();
    world.write("tasker.toml", "cancel_grace_seconds = 0.05");
    let worker = world.dev();
    let task = world.run(&["run", "order_fulfillment", "-i", SLOW]).ended(0).out.trim().to_owned();
    world.wait_for_step(&task, "reserve_inventory", "running");
    let ran = world.run(&["task", "cancel", &task, "--yes", "--reason", "changed their mind"]).ended(0);
    assert!(ran.err.contains("is cancelling; what still runs is told to stop"), "{}", ran.err);
    world.run(&["task", "watch", &task]).refused(9, "E321", "was cancelled");
    assert_eq!(world.show(&task)["status"], "cancelled");
    drop(worker);
}

#[test]
fn a_task_that_is_over_is_watched_to_its_end_at_once() {
    let world = World::new();
    world.order(ORDER);
    let ran = world.run(&["task", "watch"]).ended(0).plain();
    assert!(ran.err.contains("✔ ship_order") && ran.err.contains("✔ completed in"), "{}", ran.err);
    world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0);
    world.run(&["task", "watch", "@last", "--timeout", "0.01"]).refused(124, "E322", "was not over in time");
}

#[test]
fn foreign_text_cannot_reach_the_terminal_as_it_is() {
    let world = World::new();
    let task =
        world.run(&["run", "order_fulfillment", "-i", r#"{"a":"\u001b[2J\u009b\u202e"}"#, "--reason", "\u{1b}[2J"]);
    let task = task.ended(0).out.trim().to_owned();
    world.run(&["task", "show", &task]).ended(0).plain();
    let shown = world.run(&["task", "show", &task, "-o", "json"]).ended(0).plain();
    assert_eq!(shown.json()["status"], "pending");
}
