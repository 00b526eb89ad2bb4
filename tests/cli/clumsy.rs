//! What goes wrong in an application's own code: the program says so, and goes on.

use serde_json::json;

use crate::world::{World, finish};

#[test]
fn a_handler_that_panics_fails_its_step_and_nothing_else() {
    let world = World::new();
    let ran = world.clumsy(&["run", "stumble", "-i", "{}", "--wait"]).ended(8).plain();
    for words in [
        "✖ stumble  attempt 1/2  handler_error: the handler panicked: one foot caught the other  again in",
        "✖ stumble  attempt 2/2  handler_error: the handler panicked: one foot caught the other",
        "✔ stand",
        "✖ failed in",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    let step = world.clumsy(&["step", "show", "@last", "stumble", "-o", "json"]).ended(0).json();
    assert_eq!((&step["current_state"], &step["attempts"]), (&json!("failed"), &json!(2)));
    assert_eq!(
        (&step["error"]["error_code"], &step["error"]["error_type"]),
        (&json!("HANDLER_PANIC"), &json!("handler_error"))
    );
    let task = world.clumsy(&["task", "show", "-o", "json"]).ended(0).json();
    assert_eq!(task["steps"][1]["result"], "still here");
}

#[test]
fn a_worker_outlives_a_handler_that_panics() {
    let world = World::new();
    let worker = world.dev_of(world.clumsy_command(&["dev"]));
    let failed = world.clumsy(&["run", "stumble", "-i", "{}"]).ended(0).out.trim().to_owned();
    world.wait_for_task(&failed, "failed");
    let after = world.clumsy(&["run", "book", "-i", "{}"]).ended(0).out.trim().to_owned();
    world.wait_for_task(&after, "completed");
    assert!(worker.log().contains("ready"), "{}", worker.log());
}

#[test]
fn an_err_that_is_final_promises_no_other_attempt() {
    let world = World::new();
    let ran = world.clumsy(&["run", "give_up", "-i", "{}", "--wait"]).ended(8).plain();
    let told = "✖ give_up  attempt 1  handler_error: there is no way  not tried again";
    assert!(ran.err.contains(told), "{}", ran.err);
}

#[test]
fn a_dead_letter_tells_the_whole_chain_of_its_error() {
    const CHAIN: &str = "the stock cannot be counted: the warehouse does not answer: the line is dead";
    let world = World::new();
    world.clumsy(&["run", "count", "-i", "{}", "--wait"]).ended(8);
    let ran = world.clumsy(&["dlq", "show"]).ended(0).plain();
    assert_eq!(ran.out.matches(CHAIN).count(), 2, "of the first attempt and of the last one: {}", ran.out);
    let shown = world.clumsy(&["dlq", "show", "-o", "json"]).ended(0).json();
    let step = &shown["failed_steps"][0];
    assert_eq!((&step["attempts"], &step["error"]["message"]), (&json!(2), &json!(CHAIN)), "{shown}");
    assert_eq!(step["history"][0]["error"]["message"], CHAIN, "{shown}");
    let listed = world.clumsy(&["dlq", "list", "--group", "none"]).ended(0).plain();
    assert!(listed.out.contains(CHAIN), "{}", listed.out);
}

#[test]
fn state_that_is_missing_is_told_of_every_handler_before_anything_starts() {
    let world = World::new();
    for arguments in [&["run", "book", "-i", "{}"][..], &["dev"]] {
        let mut command = world.clumsy_command(arguments);
        command.env("WITHOUT_LEDGER", "1");
        let ran = finish(command).refused(4, "E301", "this program cannot start: 2 problems").plain();
        let source = include_str!("programs/clumsy.rs");
        for (name, attribute) in
            [("book", "#[step_handler(name = \"book\")]"), ("balance", "#[step_handler]\nasync fn balance")]
        {
            let before = source.split(attribute).next().expect("it is there");
            let line = before.lines().count() + 1;
            let told = format!(
                "handler `{name}`, tests/cli/programs/clumsy.rs:{line} (clumsy), takes `clumsy::Ledger` from the application's state, which has none: add it with `.state(..)`"
            );
            assert!(ran.err.contains(&told), "{told}: {}", ran.err);
        }
        assert!(!ran.err.contains("Vec<u8>"), "it can be done without: {}", ran.err);
        assert!(!world.path("tasker.db").exists(), "nothing was started");
    }
    let mut command = world.clumsy_command(&["check", "-o", "json"]);
    command.env("WITHOUT_LEDGER", "1");
    assert_eq!(finish(command).ended(4).json().as_array().map(Vec::len), Some(2));
    world.clumsy(&["check"]).ended(0);
}
