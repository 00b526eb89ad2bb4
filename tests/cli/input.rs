//! Bad inputs of all kinds: each is refused with a code, a reason and an exit code, and nothing is stored.

use std::process::Stdio;

use crate::world::{ORDER, World};

fn run(world: &World, input: &str) -> crate::world::Ran {
    world.run(&["run", "order_fulfillment", "-i", input, "--wait"]).plain()
}

#[test]
fn a_context_that_is_no_json_is_refused_with_its_place() {
    let world = World::new();
    run(&world, "{\"a\": }").refused(4, "E307", "--input is not JSON: expected value at line 1 column 7");
    run(&world, "").refused(4, "E307", "EOF");
    world.write("order.json", ORDER);
    run(&world, "order.json").refused(4, "E307", "to read the file, write `@order.json`");
    run(&world, "@missing.json").refused(4, "E308", "missing.json cannot be read");
    world.write("bytes.json", [0xff, 0xfe, 0x00]);
    run(&world, "@bytes.json").refused(4, "E308", "bytes.json cannot be read");
    assert!(!world.path("tasker.db").exists());
}

#[test]
fn a_context_that_no_task_can_have_is_refused() {
    let world = World::new();
    for (input, words) in [
        ("[]", "the context is an array, not an object"),
        ("3", "the context is a number, not an object"),
        ("null", "the context is null, not an object"),
        (r#"{ "a": "x\u0000y" }"#, "holds a NUL character"),
    ] {
        run(&world, input).refused(4, "E204", words);
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    run(&world, &deep).refused(4, "E204", "nested deeper than 64 levels");
    world.write("large.json", format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20)));
    run(&world, "@large.json").refused(4, "E204", "at most 1048576 are stored");
    world.write("huge.json", format!("{{\"a\":\"{}\"}}", "x".repeat(9 << 20)));
    run(&world, "@huge.json").refused(4, "E204", "huge.json has more than 8388608 bytes");
    let listed = world.run(&["task", "list", "-o", "json"]).ended(0);
    assert_eq!(listed.json(), serde_json::json!([]));
}

#[test]
fn required_fields_are_enforced_at_submit_and_wrong_types_by_the_handler() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'more'");
    world.write(
        "more/strict.yaml",
        "name: strict\ntask_handler: { initialization: { input_validation: { required_fields: [customer, items] } } }\n\
         steps: [{name: a, handler: validate_order}]",
    );
    let strict = |input: &str| world.run(&["run", "strict", "-i", input, "--wait"]);
    strict(r#"{ "customer": {} }"#).refused(4, "E204", "the context lacks `items`, which template `strict` requires");
    let ran = strict(r#"{ "customer": { "id": "one" }, "items": [] }"#);
    ran.refused(8, "E320", "`customer.id` of the task's context: invalid type: string \"one\", expected i64");
}

#[test]
fn what_does_not_exist_is_not_found() {
    let world = World::new();
    world.run(&["run", "order_fulfilment"]).refused(3, "E201", "there is no template `order_fulfilment`");
    world.run(&["run", "order_fulfillment", "--version", "9.0.0"]).refused(3, "E202", "it has 1.0.0");
    world.order(ORDER);
    world.run(&["task", "show", "ffffffff"]).refused(3, "E102", "there is no task whose id begins with `ffffffff`");
    world.run(&["task", "show", "0199d3c2-4f1a-7abc-8def-012345000000"]).refused(
        3,
        "E102",
        "there is no task 0199d3c2",
    );
    world.run(&["task", "show", "@last:failed"]).refused(3, "E102", "no task is failed");
    world.run(&["step", "show", "@last", "ship_ordr"]).refused(3, "E310", "did you mean `ship_order`?");
    world.run(&["handler", "show", "ship_ordr"]).refused(3, "E311", "did you mean `ship_order`?");
    world.run(&["template", "show", "order_fulfilment"]).refused(3, "E201", "did you mean `order_fulfillment`?");
    world.run(&["explain", "E999"]).refused(3, "E312", "there is no code `E999`");
}

#[test]
fn what_is_no_id_is_a_mistake_in_typing() {
    let world = World::new();
    world.order(ORDER);
    for id in ["xyz", "@first", "@last:lost", "-", &"a".repeat(33)] {
        world.run(&["task", "show", "--", id]).refused(2, "E313", "");
    }
    world.run(&["task", "list", "--state", "lost"]).ended(2);
    world.run(&["task", "list", "--limit", "0"]).ended(2);
    world.run(&["run", "order_fulfillment", "--priority", "101"]).ended(2);
    world.run(&["run", "order_fulfillment", "--timeout", "soon"]).ended(2);
    for seconds in ["0", "31536001", "soon"] {
        world.run(&["run", "order_fulfillment", "--claim-timeout-seconds", seconds]).ended(2);
    }
    world.run(&["rnu"]).ended(2);
}

#[test]
fn templates_that_cannot_be_used_are_told_all_at_once_and_nothing_starts() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'bad'");
    world.write("bad/a_syntax.yaml", "name: [");
    world.write("bad/b_cycle.yaml", "name: b\nsteps:\n- {name: x, handler: validate_order, dependencies: [y]}\n- {name: y, handler: validate_order, dependencies: [x]}\n");
    world.write("bad/c_handler.yaml", "name: c\nsteps: [{name: x, handler: nobody_wrote_it}]");
    world.write("bad/d_large.yaml", format!("name: d\n# {}\n", "x".repeat(1 << 20)));
    world.write("bad/e_bytes.yaml", [0xff, 0x00]);
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(4).plain();
    for words in [
        "error[T001]",
        "error[T015]",
        "error[T002]",
        "bad/e_bytes.yaml is not UTF-8 text",
        "template `c` needs handler `nobody_wrote_it`; this binary has: `process_payment`",
        "error[E301]: this program cannot start: 5 problems",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert!(!world.path("tasker.db").exists());
    let ran = world.run(&["dev", "-o", "json"]).ended(4);
    assert_eq!(ran.problem()["problems"].as_array().map(Vec::len), Some(5));
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'bad'");
    world.write("bad/a.yaml", "name: t\nsteps: [{name: x, handler: validate_order}]");
    world.write("bad/b.yaml", "name: t\nsteps: [{name: y, handler: validate_order}]");
    let ran = world.run(&["check"]);
    ran.refused(4, "E314", "bad/a.yaml and bad/b.yaml both are version 0.1.0 of template `t`");
}

#[test]
fn settings_that_do_not_exist_are_refused() {
    let world = World::new();
    world.write("tasker.toml", "slot = 3");
    world.run(&["task", "list"]).refused(4, "E302", "did you mean `slots`?");
    world.write("tasker.toml", "slots = [");
    world.run(&["task", "list"]).refused(4, "E302", "tasker.toml: ");
    world.write("tasker.toml", "log = 'a=b=c'");
    world.run(&["task", "list"]).refused(4, "E302", "the setting `log`");
    world.write("tasker.toml", "database_url = 'postgres://localhost:port/x'");
    world.run(&["task", "list"]).refused(4, "E303", "the database URL cannot be read");
}

#[test]
fn errors_for_programs_are_one_record() {
    let world = World::new();
    let ran = world.run(&["run", "nothing", "-o", "json"]).ended(3);
    assert_eq!(ran.out, "");
    let record = ran.problem();
    let mut keys: Vec<&String> = record.as_object().expect("it is an object").keys().collect();
    keys.sort();
    assert_eq!(keys, ["code", "docs", "help", "message"]);
    assert_eq!(record["docs"], "order_fulfillment explain E201");
}

#[test]
fn closed_streams_do_not_break_a_run() {
    let world = World::new();
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let mut command = world.command(&["run", "order_fulfillment", "-i", ORDER, "--wait"]);
    command.stdout(Stdio::null()).stderr(writer);
    assert_eq!(command.status().expect("the program starts").code(), Some(0));
    assert_eq!(world.show("@last")["status"], "completed");
}
