//! Tasks are run again from one of their steps on, and both ends say so.

use serde_json::{Value, json};

use crate::world::{ORDER, SLOW, STOLEN, World};

/// The order whose card was stolen, with another card.
const PAID: &str = r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }] }"#;

fn submit(world: &World, input: &str) -> String {
    world.run(&["run", "order_fulfillment", "-i", input]).ended(0).out.trim().to_owned()
}

fn states(task: &Value) -> Vec<(&str, bool)> {
    let steps = task["steps"].as_array().expect("there are steps").iter();
    steps.map(|step| (step["current_state"].as_str().expect("it is text"), step["kept"] == true)).collect()
}

fn a_failed_order_is_paid_with_another_card(world: &World) {
    let worker = world.dev();
    let old = submit(world, STOLEN);
    world.wait_for_task(&old, "failed");
    let asked = ["task", "rerun", &old, "--from", "process_payment", "-i", PAID, "--reason", "another card"];
    let mut command = world.command(&asked);
    command.env("USER", "ada");
    let ran = crate::world::finish(command).ended(0).plain();
    let new = ran.out.trim().to_owned();
    assert!(ran.err.contains("again from step `process_payment` on"), "{ran:?}");
    world.wait_for_task(&new, "completed");
    let (told, left) = (world.show(&new), world.show(&old));
    let kept = ("completed", true);
    assert_eq!(states(&told), [kept, kept, ("completed", false), ("completed", false)]);
    assert_eq!(told["steps"][0]["finished_at"], left["steps"][0]["finished_at"], "it is what it was");
    assert_eq!(told["rerun_of"], json!({ "task_uuid": old, "from": "process_payment" }));
    assert_eq!(left["reruns"], json!([{ "task_uuid": new, "from": "process_payment" }]));
    assert_eq!((&left["status"], &left["actions"]), (&json!("failed"), &Value::Null));
    let [action] = &told["actions"].as_array().expect("it is a list")[..] else { panic!("{told}") };
    assert_eq!((&action["action"], &action["step"]), (&json!("rerun"), &json!("process_payment")));
    assert_eq!((&action["actor"], &action["reason"]), (&json!("ada"), &json!("another card")));
    let shown = world.run(&["task", "show", &new]).ended(0).plain();
    assert!(shown.out.contains(&format!("rerun of    {old}, from step `process_payment` on")), "{shown:?}");
    assert!(shown.out.contains("completed, kept") && shown.out.contains("another card"), "{shown:?}");
    let shown = world.run(&["task", "show", &old]).ended(0).plain();
    assert!(shown.out.contains(&format!("rerun as    {new}, from step `process_payment` on")), "{shown:?}");
    let step = world.run(&["step", "show", &new, "validate_order"]).ended(0).plain();
    assert!(step.out.contains("its result is that of the task which is run again"), "{step:?}");
    drop(worker);
    world.run(&["doctor"]).ended(0);
}

#[test]
fn a_failed_order_is_rerun_with_another_input_and_both_tasks_tell_of_it() {
    a_failed_order_is_paid_with_another_card(&World::new());
}

#[test]
fn a_failed_order_on_a_server_is_rerun_with_another_input() {
    let Some(world) = World::on_server() else { return };
    a_failed_order_is_paid_with_another_card(&world);
}

#[test]
fn a_rerun_waits_for_a_worker_and_is_told_as_json() {
    let world = World::new();
    let old =
        world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait", "-o", "id"]).ended(0).out.trim().to_owned();
    let ran = world.run(&["task", "rerun", "@last", "--from", "ship_order", "-o", "json"]).ended(0);
    let told = ran.json();
    let new = told["task_uuid"].as_str().expect("it has an id").to_owned();
    assert_eq!(told, json!({ "task_uuid": new, "status": "pending", "rerun_of": old, "from": "ship_order" }));
    let left: Vec<(&str, bool)> = vec![("completed", true), ("completed", true), ("completed", true), ("ready", false)];
    assert_eq!(states(&world.show(&new)), left);
    let worker = world.dev();
    world.wait_for_task(&new, "completed");
    drop(worker);
}

fn a_rerun_is_waited_for(world: &World) {
    let old = world.order(STOLEN);
    let rerun =
        |more: &[&str]| world.run(&[&["task", "rerun", &old, "--from", "process_payment", "--wait"], more].concat());
    let ran = rerun(&["-i", PAID]).ended(0).plain();
    let new = world.run(&["task", "list", "-o", "id", "--limit", "1"]).ended(0).out.trim().to_owned();
    // What `run --wait` prints: the steps as they end, and the result.
    assert_eq!(ran.json()["tracking_number"], "TRK-1", "the result on standard output, as `run --wait` has it");
    assert!(ran.err.contains("is run again from step `process_payment` on"), "{}", ran.err);
    assert!(ran.err.contains("✔ process_payment") && ran.err.contains("✔ completed in"), "{}", ran.err);
    assert_eq!(world.show(&new)["status"], "completed");

    let told = rerun(&["-i", PAID, "-o", "json"]).ended(0).json();
    assert_eq!((&told["status"], &told["rerun_of"]["task_uuid"]), (&json!("completed"), &json!(old)), "{told}");
    let ran = rerun(&[]).refused(8, "E320", "failed");
    assert!(ran.err.contains("process_payment"), "{}", ran.err);
    let slow = world.order(ORDER);
    let from = ["task", "rerun", &slow, "--from", "validate_order", "-i", SLOW, "--wait", "--timeout", "0.2"];
    world.run(&from).refused(124, "E322", "was not over in time");
    world.run(&["task", "rerun", &old, "--from", "process_payment", "--timeout", "1"]).ended(2);
}

#[test]
fn a_rerun_is_waited_for_as_a_run_is() {
    a_rerun_is_waited_for(&World::new());
}

#[test]
fn a_rerun_on_a_server_is_waited_for() {
    let Some(world) = World::on_server() else { return };
    a_rerun_is_waited_for(&world);
}

#[test]
fn a_rerun_that_cannot_be_is_refused() {
    let world = World::new();
    let task = submit(&world, SLOW);
    let rerun = |more: &[&str]| world.run(&[&["task", "rerun", &task][..], more].concat());
    rerun(&["--from", "ship_order"]).refused(7, "E104", "is pending: it cannot be rerun before it is over");
    rerun(&["--from", "ship_orde"]).refused(3, "E310", "did you mean `ship_order`?");
    rerun(&["--from", "ship_order", "-i", "{"]).refused(4, "E307", "--input is not JSON");
    rerun(&["--from", "ship_order", "-i", "3"]).refused(4, "E204", "the context is a number");
    rerun(&[]).ended(2);
    let none = "0199d3c2-4f1a-7abc-8def-012345000000";
    world.run(&["task", "rerun", none, "--from", "ship_order"]).refused(3, "E102", "there is no task");
    assert_eq!(world.run(&["task", "list", "-o", "id"]).ended(0).out.lines().count(), 1, "nothing was made");
}

#[test]
fn the_workers_of_a_batch_are_rerun_together_or_one_alone() {
    let world = World::new();
    let run = |arguments: &[&str]| crate::world::finish(world.batches_command(arguments));
    let input = json!({ "path": world.path("products.csv"), "rows": 100, "batch_size": 20 }).to_string();
    run(&["run", "csv_batch", "-i", &input, "--wait"]).ended(0);
    let old = run(&["task", "list", "-o", "id"]).ended(0).out.trim().to_owned();
    for (from, kept) in [("process_batch", 2), ("process_batch_003", 6), ("total_products", 7), ("analyze_products", 1)]
    {
        let new = run(&["task", "rerun", &old, "--from", from, "-o", "id"]).ended(0).out.trim().to_owned();
        let shown = run(&["task", "show", &new, "-o", "json"]).ended(0).json();
        assert_eq!(states(&shown).iter().filter(|(_, kept)| *kept).count(), kept, "{from}: {shown}");
        assert_eq!(shown["actions"][0]["step"], from);
    }
    run(&["task", "rerun", &old, "--from", "process_batch_006"]).refused(3, "E310", "has no step `process_batch_006`");
    run(&["doctor"]).ended(0);
}
