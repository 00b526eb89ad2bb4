//! `run`: a task from submit to result.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::world::{ORDER, SLOW, STOLEN, World, end_of, eventually, finish};

#[test]
fn a_run_gives_the_result_on_stdout_and_what_happened_on_stderr() {
    let world = World::new();
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait"]).ended(0).plain();
    assert_eq!(ran.json()["order_total"], json!(59.98));
    for line in ["▶ order_fulfillment", "  ✔ validate_order", "  ✔ ship_order", "✔ completed in "] {
        assert!(ran.err.contains(line), "{}", ran.err);
    }
}

#[test]
fn a_run_as_json_has_exactly_the_documented_keys() {
    let world = World::new();
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait", "-o", "json"]).ended(0);
    let document = ran.json();
    let mut keys: Vec<&String> = document.as_object().expect("it is an object").keys().collect();
    keys.sort();
    let documented = [
        "completed_steps",
        "failed_steps",
        "final_result",
        "name",
        "namespace",
        "status",
        "steps",
        "task_uuid",
        "total_steps",
        "version",
    ];
    assert_eq!(keys, documented);
    assert_eq!((&document["status"], &document["namespace"]), (&json!("completed"), &json!("ecommerce")));
    assert_eq!(document["final_result"], document["steps"][3]["result"]);
    assert_eq!([&document["total_steps"], &document["completed_steps"], &document["failed_steps"]], [4, 4, 0]);
    let step = &document["steps"][0];
    assert_eq!(
        (&step["name"], &step["current_state"], &step["attempts"]),
        (&json!("validate_order"), &json!("completed"), &json!(1))
    );
    assert_eq!(step["result"]["order_total"], json!(59.98));
    assert!(step.get("error").is_none());
    assert_eq!(ran.err, "");
    let shown = world.show(document["task_uuid"].as_str().expect("it is text"));
    assert_eq!(shown, document);
}

#[test]
fn json_lines_are_one_line_and_an_id_is_only_that() {
    let world = World::new();
    let lines = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait", "-o", "jsonl"]).ended(0);
    assert_eq!(lines.out.lines().count(), 1);
    let id = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait", "-o", "id"]).ended(0);
    assert_eq!((id.out.trim().len(), id.err.as_str()), (36, ""));
}

#[test]
fn several_last_steps_give_an_object_of_their_results() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'more'");
    world.write(
        "more/two.yaml",
        "name: two\nsteps: [{name: a, handler: validate_order}, {name: b, handler: validate_order}]",
    );
    let ran = world.run(&["run", "two", "-i", ORDER, "--wait"]).ended(0);
    assert_eq!((&ran.json()["a"]["order_total"], &ran.json()["b"]["customer_id"]), (&json!(59.98), &json!(123)));
}

#[test]
fn a_failed_task_ends_with_8_and_says_why_and_what_to_do() {
    let world = World::new();
    let ran = world.run(&["run", "order_fulfillment", "-i", STOLEN, "--wait"]);
    let ran = ran.refused(8, "E320", "step `process_payment`: permanent_error: the card was declined").plain();
    assert!(ran.err.contains("task retry "), "{}", ran.err);
    assert_eq!(ran.out, "");
    let ran = world.run(&["run", "order_fulfillment", "-i", STOLEN, "--wait", "-o", "json"]).ended(8);
    assert_eq!(ran.json()["status"], "failed");
    let error = &ran.json()["steps"][2]["error"];
    assert_eq!((&error["error_code"], &error["retryable"]), (&json!("CARD_DECLINED"), &json!(false)));
    assert_eq!(ran.problem()["code"], "E320");
}

#[test]
fn what_is_told_to_type_means_the_same_database() {
    let world = World::new();
    let ran = world.run(&["run", "order_fulfillment", "-i", STOLEN, "--wait", "--db", "other.db"]).ended(8);
    let hint = ran.err.split('`').find(|part| part.contains(" task retry ")).expect("it says what to type");
    let words: Vec<&str> = hint.split(' ').skip(1).collect();
    world.run(&words).ended(0);
}

#[test]
fn a_failed_attempt_is_told_and_tried_again() {
    let world = World::new();
    let input = r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "payment": { "timeouts": 1 } }"#;
    let ran = world.run(&["run", "order_fulfillment", "-i", input, "--wait"]).ended(0);
    assert!(ran.err.contains("attempt 1/3  timeout: the gateway did not answer  again in "), "{}", ran.err);
    assert!(ran.err.contains("✔ process_payment    attempt 2/3"), "{}", ran.err);
}

#[test]
fn watch_shows_the_steps_and_no_result() {
    let world = World::new();
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER, "--watch"]).ended(0).plain();
    assert_eq!(ran.out, "");
    assert!(ran.err.contains("✔ completed in "), "{}", ran.err);
}

#[test]
fn quiet_leaves_only_the_result() {
    let world = World::new();
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait", "--quiet"]).ended(0);
    assert_eq!(ran.err, "");
}

#[test]
fn without_a_worker_and_without_wait_the_task_is_kept_and_waits() {
    let world = World::new();
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0).plain();
    assert!(ran.err.contains("no worker runs on this database"), "{}", ran.err);
    let task = ran.out.trim().to_owned();
    assert_eq!(world.show(&task)["status"], "pending");
    // The next worker runs it, before or after its own.
    world.order(ORDER);
    let worker = world.dev();
    world.wait_for_task(&task, "completed");
    drop(worker);
}

#[test]
fn a_wait_that_is_over_first_ends_with_124() {
    let world = World::new();
    world.write("tasker.toml", "drain_seconds = 0");
    let ran = world.run(&["run", "order_fulfillment", "-i", SLOW, "--wait", "--timeout", "0.05"]);
    let ran = ran.refused(124, "E322", "was not over in time");
    assert!(ran.err.contains("goes on with the next worker"), "{}", ran.err);
    assert!(["pending", "running"].contains(&world.show("@last")["status"].as_str().expect("it is text")));
}

#[test]
fn an_interrupted_run_ends_with_130_and_the_task_goes_on() {
    let world = World::new();
    world.write("tasker.toml", "drain_seconds = 0");
    let mut command = world.command(&["run", "order_fulfillment", "-i", SLOW, "--wait"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    eventually("the step runs", || {
        let ran = world.run(&["task", "show", "@last", "-o", "json"]);
        ran.code == 0 && ran.json()["steps"][1]["current_state"] == "running"
    });
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("the process is there");
    assert_eq!(end_of(&mut child), 130);
    let output = child.wait_with_output().expect("it has ended");
    let err = String::from_utf8(output.stderr).expect("it is text");
    assert!(err.contains("the task is safe, and goes on with the next worker"), "{err}");
    // The step was given back in good order: it counts neither as failed nor as lost.
    let step = &world.show("@last")["steps"][1];
    assert_eq!((&step["current_state"], &step["attempts"]), (&json!("ready"), &json!(1)));
}

#[test]
fn a_run_beside_a_worker_is_run_by_that_worker() {
    let world = World::new();
    let worker = world.dev();
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait"]).ended(0);
    assert_eq!(ran.json()["order_total"], json!(59.98));
    eventually("the worker tells of it", || worker.log().contains("✔ order_fulfillment"));
}

#[test]
fn a_run_takes_over_where_the_worker_beside_it_dies() {
    let world = World::new();
    let worker = world.dev();
    let input =
        r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "pace_ms": 1000 }"#;
    let mut command = world.command(&["run", "order_fulfillment", "-i", input, "--wait"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    eventually("the step runs", || {
        let ran = world.run(&["task", "show", "@last", "-o", "json"]);
        ran.code == 0 && ran.json()["steps"][1]["current_state"] == "running"
    });
    worker.kill();
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8(output.stderr).expect("it is text");
    assert!(err.contains("recovered 1 task: order_fulfillment"), "{err}");
    assert_eq!(output.status.code(), Some(0), "{err}");
}

#[test]
fn the_input_comes_from_a_file_or_from_standard_input() {
    let world = World::new();
    world.write("order.json", ORDER);
    let ran = world.run(&["run", "order_fulfillment", "-i", "@order.json", "--wait"]).ended(0);
    assert_eq!(ran.json()["order_total"], json!(59.98));
    let mut command = world.command(&["run", "order_fulfillment", "-i", "-", "--wait"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    child.stdin.take().expect("it is piped").write_all(ORDER.as_bytes()).expect("it is read");
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
}

#[test]
fn a_template_is_found_in_the_only_namespace_that_has_it() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'more'");
    let template = |namespace: &str| {
        format!("name: twin\nnamespace_name: {namespace}\nsteps: [{{name: a, handler: validate_order}}]")
    };
    world.write("more/a.yaml", template("first"));
    let run = |more: &[&str]| {
        let mut arguments = vec!["run", "twin", "-i", ORDER, "--wait", "-o", "json"];
        arguments.extend(more);
        world.run(&arguments)
    };
    assert_eq!(run(&[]).ended(0).json()["namespace"], "first");
    world.write("more/b.yaml", template("second"));
    assert_eq!(run(&[]).ended(2).problem()["code"], "E309");
    assert_eq!(run(&["-n", "second"]).ended(0).json()["namespace"], "second");
    world.write("more/c.yaml", template("default"));
    assert_eq!(run(&[]).ended(0).json()["namespace"], "default");
    assert_eq!(run(&["-n", "third"]).ended(3).problem()["code"], "E201");
}

#[test]
fn the_newest_version_is_run_unless_another_is_named() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'more'");
    for version in ["1.9.0", "1.10.0"] {
        let text = format!("name: v\nversion: {version}\nsteps: [{{name: a, handler: validate_order}}]");
        world.write(&format!("more/{version}.yaml"), text);
    }
    let run = |more: &[&str]| {
        let mut arguments = vec!["run", "v", "-i", ORDER, "--wait", "-o", "json"];
        arguments.extend(more);
        world.run(&arguments)
    };
    assert_eq!(run(&[]).ended(0).json()["version"], "1.10.0");
    assert_eq!(run(&["--version", "1.9.0"]).ended(0).json()["version"], "1.9.0");
    assert_eq!(run(&["--version", "2.0.0"]).ended(3).problem()["code"], "E202");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let world = World::new();
    let mut command = world.command(&["explain"]);
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    command.stdout(writer).stderr(Stdio::piped());
    let ran = finish_piped(command);
    assert_eq!((ran.0, ran.1.as_str()), (Some(0), ""));
}

fn finish_piped(mut command: std::process::Command) -> (Option<i32>, String) {
    let output = command.spawn().expect("the program starts").wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("it is text"))
}

#[test]
fn settings_come_from_the_environment_too() {
    let world = World::new();
    let mut command = world.command(&["run", "order_fulfillment", "-i", ORDER, "--wait"]);
    command.env("DATABASE_URL", "sqlite://elsewhere.db");
    finish(command).ended(0);
    assert!(world.path("elsewhere.db").exists() && !world.path("tasker.db").exists());
    let mut command = world.command(&["run", "order_fulfillment"]);
    command.env("TASKER_SLOT", "3");
    finish(command).refused(4, "E302", "did you mean `TASKER_SLOTS`?");
}

#[test]
fn the_same_request_is_given_the_same_task_or_is_refused() {
    let world = World::new();
    let run = |more: &[&str]| world.run(&[&["run", "order_fulfillment", "-i", ORDER], more].concat());
    let first = run(&["--key", "order 7", "-o", "id"]).ended(0);
    let again = run(&["--key", "order 7"]).ended(0).plain();
    assert_eq!(again.out, first.out);
    assert!(again.err.contains("submitted before: order_fulfillment "), "{}", again.err);
    let waited = run(&["--key", "order 7", "--wait"]).ended(0).plain();
    assert!(waited.err.contains("the same request was made before: this is its task "), "{}", waited.err);
    assert_eq!(waited.json()["order_total"], json!(59.98));
    let over = run(&["--key", "order 7"]).ended(0).plain();
    assert!(over.err.contains("look at it with `"), "{}", over.err);
    run(&["--key", "order 7", "--if-exists", "conflict"]).refused(7, "E111", "the same request made task ");
    run(&["--key", ""]).refused(4, "E205", "`idempotency_key` is empty");
    assert_ne!(run(&["--key", "order 8", "-o", "id"]).ended(0).out, first.out);
}

#[test]
fn a_task_is_submitted_for_later_and_shows_when_it_starts() {
    let world = World::new();
    let run = |more: &[&str]| world.run(&[&["run", "order_fulfillment", "-i", ORDER], more].concat());
    let later = run(&["--in", "2h", "-o", "id"]).ended(0).out.trim().to_owned();
    let shown = world.run(&["task", "show", &later]).ended(0).plain().out;
    assert!(shown.contains("starts ") && shown.contains("(starts in 1 h 59 min"), "{shown}");
    assert!(shown.contains("validate_order") && shown.contains("starts later"), "{shown}");
    let listed = world.run(&["task", "list"]).ended(0).plain().out;
    assert!(listed.contains("starts in 1 h 59 min"), "{listed}");
    let told = run(&["--at", "2100-01-31T12:00:00Z"]).ended(0).plain();
    assert!(told.err.contains(", which starts at 2100-01-31T12:00:00Z; "), "{}", told.err);
    let listed = world.run(&["task", "list", "-o", "json"]).ended(0).json();
    assert_eq!((&listed[0]["status"], &listed[0]["starts_at"]), (&json!("pending"), &json!("2100-01-31T12:00:00Z")));
    world.run(&["task", "cancel", &later]).ended(0);
    let soon = run(&["--in", "300ms", "--wait"]).ended(0);
    assert_eq!(soon.json()["order_total"], json!(59.98));
    assert!(run(&["--at", "2001-01-31T12:00:00Z", "--wait"]).ended(0).json().is_object());
    for (option, wrong) in [("--in", "soon"), ("--in", "5"), ("--in", "9000d"), ("--at", "tomorrow")] {
        let refused = run(&[option, wrong]);
        assert_eq!(refused.code, 2, "{refused:?}");
    }
    assert_eq!(run(&["--in", "1s", "--at", "2100-01-31T12:00:00Z"]).code, 2);
}

#[test]
fn a_failed_attempt_is_logged_with_its_task_step_and_error() {
    let world = World::new();
    let run =
        |more: &[&str]| world.run(&[&["run", "order_fulfillment", "-i", STOLEN, "--wait"], more].concat()).ended(8);
    let err = run(&["-vv"]).plain().err;
    let line = err.lines().find(|line| line.contains("an attempt failed")).expect("it is logged");
    for part in ["DEBUG", "task=", "step=2", "attempt=1", "error_type=", "the card was declined"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!run(&[]).err.contains("an attempt failed"), "only who asks is told twice");
}
