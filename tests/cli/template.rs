//! `template`, `handler` and `check`.

use serde_json::json;

use crate::world::{ORDER, World, finish};

const BAD: &str = "name: order\nsteps:\n  - name: validate_order\n  - name: charge\n    handler: process_payment\n    dependencies: [validate_ordr]\n";

#[test]
fn templates_are_listed_before_and_after_they_are_stored() {
    let world = World::new();
    let before = world.run(&["template", "list"]).ended(0).plain();
    assert!(
        before.out.contains("order_fulfillment  1.0.0    ecommerce  4") && before.out.contains("not yet"),
        "{}",
        before.out
    );
    world.order(ORDER);
    let after = world.run(&["template", "list", "-o", "json"]).ended(0).json();
    assert_eq!((&after[0]["name"], &after[0]["file"]), (&json!("order_fulfillment"), &json!("order_fulfillment.yaml")));
    assert!(after[0]["stored_at"].is_string());
    // The stock binary has no template of its own, and the database has this one.
    let stock = world.stock(&["template", "list"]).ended(0);
    assert!(stock.out.contains("only in the database"), "{}", stock.out);
    assert_eq!(world.stock(&["template", "list", "-o", "id"]).out, "order_fulfillment\n");
    world.stock(&["template", "show", "order_fulfillment"]).ended(0);
}

#[test]
fn a_template_is_shown_as_a_table_and_as_json() {
    let world = World::new();
    let ran = world.run(&["template", "show", "order_fulfillment"]).ended(0).plain();
    assert!(ran.out.contains("E-commerce order processing workflow") && ran.out.contains("ship_order"), "{}", ran.out);
    let shown = world.run(&["template", "show", "order_fulfillment", "-o", "json"]).ended(0).json();
    assert_eq!((&shown["namespace"], &shown["steps"][1]["dependencies"]), (&json!("ecommerce"), &json!([0])));
    world.run(&["template", "show", "order_fulfillment", "--version", "9.9.9"]).refused(
        3,
        "E201",
        "order_fulfillment` 9.9.9",
    );
}

#[test]
fn what_a_step_runs_with_is_shown_and_who_said_so() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'more'");
    world.write(
        "more/t.yaml",
        "name: t\nsteps: [{name: a, handler: validate_order}, {name: b, handler: ship_order, timeout_seconds: 90, retry: {retryable: false}}]",
    );
    let columns = |text: &str, step: &str| {
        let line = text.lines().find(|line| line.starts_with(step)).expect("the step is shown");
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect::<Vec<_>>()
    };
    let shown = world.run(&["template", "show", "t"]).ended(0).plain().out;
    assert_eq!(columns(&shown, "a "), ["a", "validate_order", "3", "5 min (default)"]);
    assert_eq!(columns(&shown, "b "), ["b", "ship_order", "1", "1 min 30 s"]);
    let stock = world.stock(&["template", "show", "t"]).ended(0).out;
    assert_eq!(columns(&stock, "a ")[3], "5 min (default; its handler is not here)");
}

#[test]
fn a_template_is_drawn_in_three_ways() {
    let world = World::new();
    let outline = world.run(&["template", "graph", "order_fulfillment"]).ended(0).plain();
    assert!(outline.out.contains("  reserve_inventory  after validate_order\n"), "{}", outline.out);
    let mermaid = world.run(&["template", "graph", "order_fulfillment", "--mermaid"]).ended(0);
    assert!(mermaid.out.starts_with("flowchart LR\n") && mermaid.out.contains("s2 --> s3"), "{}", mermaid.out);
    world.run(&["template", "graph", "order_fulfillment", "--svg", "--file", "graph.svg"]).ended(0);
    let schema = world.run(&["template", "schema"]).ended(0);
    assert!(schema.json()["properties"]["steps"].is_object(), "{}", schema.out);
    let svg = std::fs::read_to_string(world.path("graph.svg")).expect("it was written");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.matches("<rect").count() == 4, "{svg}");
    world.run(&["template", "graph", "order_fulfillment", "--file", "no/such/folder"]).refused(
        1,
        "E316",
        "cannot be written",
    );
}

#[test]
fn files_are_checked_with_places_and_suggestions() {
    let world = World::new();
    world.write("order.yaml", BAD);
    let ran = world.run(&["template", "check", "order.yaml"]).refused(4, "E314", "1 template: 1 error").plain();
    for words in ["error[T012]", "[order.yaml:6:20]", "did you mean `validate_order`?"] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    let ran = world.run(&["template", "check", "order.yaml", "-o", "json"]).ended(4);
    let found = &ran.json()[0];
    assert_eq!(
        (&found["file"], &found["finding"]["code"], &found["finding"]["span"]["line"]),
        (&json!("order.yaml"), &json!("T012"), &json!(6))
    );
    assert_eq!(world.run(&["template", "check", "order.yaml", "-o", "id"]).ended(4).out, "T012\n");
    world.run(&["template", "check", "missing.yaml"]).refused(4, "E314", "missing.yaml cannot be read");
    let well = world.run(&["template", "check"]).ended(0);
    assert!(well.err.contains("✔ 1 template"), "{}", well.err);
}

#[test]
fn a_handler_that_is_missing_is_found_at_its_place() {
    let world = World::new();
    world.write("order.yaml", "name: order\nsteps:\n  - name: ship\n    handler: ship_ordr\n");
    let ran = world.run(&["template", "check", "order.yaml"]).ended(4);
    for words in
        ["error[E203]: step `ship` needs handler `ship_ordr`", "[order.yaml:4:14]", "did you mean `ship_order`?"]
    {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    // The stock binary has no handlers, and checks templates of any program.
    world.stock(&["template", "check", "order.yaml"]).ended(0);
}

#[test]
fn what_a_handler_reads_comes_from_any_step_before_its_own() {
    let world = World::new();
    // `process_payment` and `ship_order` read `validate_order`, which only others wait for.
    let chain = "name: far\nsteps:\n  - name: validate_order\n  - name: reserve_inventory\n    dependencies: [validate_order]\n  - name: process_payment\n    dependencies: [reserve_inventory]\n  - name: ship_order\n    dependencies: [process_payment]\n";
    world.write("far.yaml", chain);
    world.run(&["template", "check", "far.yaml"]).ended(0);
    world.run(&["check"]).ended(0);
    let beside = "name: beside\nsteps:\n  - name: validate_order\n  - name: pay\n    handler: process_payment\n  - name: ship_order\n    dependencies: [validate_order, pay]\n";
    world.write("beside.yaml", beside);
    let ran = world.run(&["template", "check", "beside.yaml"]).refused(4, "E314", "1 template: 2 errors").plain();
    for words in [
        "error[E208]: step `pay` reads the result of step `validate_order`, which does not come before it",
        "[beside.yaml:5:14]",
        "add `validate_order` to its `dependencies`",
        "step `ship_order` reads the result of step `process_payment`, which is not in this template",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
}

#[test]
fn check_warns_of_a_version_that_says_something_else_now() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'more'");
    world.write("more/t.yaml", "name: t\nsteps: [{name: x, handler: validate_order}]");
    world.run(&["run", "t", "-i", ORDER]).ended(0);
    let ran = world.run(&["check"]).ended(0);
    assert!(ran.err.contains("✔ 2 templates and 4 handlers"), "{}", ran.err);
    world.write("more/t.yaml", "name: t\nsteps: [{name: y, handler: validate_order}]");
    let ran = world.run(&["check"]).ended(0).plain();
    assert!(ran.err.contains("warning: more/t.yaml: version 0.1.0 of `t` says something else"), "{}", ran.err);
    assert!(ran.err.contains("template diff t 0.1.0` shows what differs"), "{}", ran.err);
    let shown = world.run(&["template", "diff", "t", "0.1.0"]).ended(1).plain();
    assert_eq!(shown.out, "t 0.1.0 as stored → 0.1.0 of this program\n- step x\n+ step y\n");
}

const FIRST: &str = "name: t\nversion: 1.0.0\nsteps: [{name: a, handler: validate_order, retry: {max_attempts: 2}}, {name: b, handler: ship_order, dependencies: [a]}]";
const SECOND: &str = "name: t\nversion: 1.1.0\nsteps: [{name: a, handler: validate_order, retry: {max_attempts: 5}, timeout_seconds: 9}, {name: c, handler: ship_order, dependencies: [a]}]";

/// Compares stored versions with one another, with files and with what the program has.
fn compare_versions(world: &World) {
    world.write("tasker.toml", "templates = 'more'");
    for version in [FIRST, SECOND] {
        world.write("more/t.yaml", version);
        world.run(&["run", "t", "-i", ORDER]).ended(0);
    }
    let told = "t 1.0.0 as stored → 1.1.0 as stored\n~ version: \"1.0.0\" → \"1.1.0\"\n- step b\n+ step c\n~ step a\n    \
                retry.max_attempts: 2 → 5\n    timeout_ms: not set → 9000\n- a → b\n+ a → c\n";
    assert_eq!(world.run(&["template", "diff", "t", "1.0.0", "1.1.0"]).ended(1).plain().out, told);
    let diff = world.run(&["template", "diff", "t", "1.0.0", "1.1.0", "-o", "json"]).ended(1).json();
    assert_eq!(
        (&diff["same"], &diff["old"]["version"], &diff["new"]["version"]),
        (&json!(false), &json!("1.0.0"), &json!("1.1.0"))
    );
    assert_eq!(diff["diff"]["added"], json!(["c"]));
    assert_eq!(diff["diff"]["removed"], json!(["b"]));
    assert_eq!(
        diff["diff"]["changed"],
        json!([{ "step": "a", "keys": [{ "key": "retry.max_attempts", "old": 2, "new": 5 }, { "key": "timeout_ms", "new": 9000 }] }])
    );
    assert_eq!(diff["diff"]["edges_added"], json!([{ "from": "a", "to": "c" }]));
    assert_eq!(world.run(&["template", "diff", "t", "1.0.0", "1.1.0", "-o", "id"]).ended(1).out, "a\nb\nc\n");

    let same = world.run(&["template", "diff", "t"]).ended(0).plain();
    assert!(
        same.out.is_empty() && same.err.contains("1.1.0 as stored and 1.1.0 of this program say the same"),
        "{same:?}"
    );
    assert_eq!(world.run(&["template", "diff", "t", "1.1.0", "-o", "json"]).ended(0).json()["same"], true);
    world.write("other.yaml", FIRST);
    world.run(&["template", "diff", "t", "1.0.0", "other.yaml"]).ended(0);
    let newest = world.run(&["template", "diff", "t", "other.yaml"]).ended(1).plain();
    assert!(
        newest.out.starts_with("t 1.1.0 as stored → other.yaml\n") && newest.out.contains("- step c"),
        "{newest:?}"
    );
    let coloured = world.prepared_in_colour(&["template", "diff", "t", "other.yaml"]);
    let coloured = finish(coloured).ended(1).out;
    assert!(coloured.lines().any(|line| line.contains("\u{1b}[31m") && line.contains("- step c")), "{coloured:?}");

    world.write("bad.yaml", BAD);
    world.run(&["template", "diff", "t", "1.0.0", "bad.yaml"]).refused(4, "E314", "1 template: 1 error");
    world.run(&["template", "diff", "t", "1.0.0", "none.yaml"]).ended(4);
    world.run(&["template", "diff", "t", "9.9.9"]).refused(3, "E201", "there is no template `t` 9.9.9");
    world.run(&["template", "diff", "x", "1.0.0"]).refused(3, "E201", "there is no template `x`");
    world.write("tasker.toml", "");
    world.run(&["template", "diff", "t"]).refused(3, "E201", "this program has no template `t`");
}

#[test]
fn versions_of_a_template_are_compared_with_one_another_and_with_files() {
    compare_versions(&World::new());
}

#[test]
fn versions_of_a_template_on_a_server_are_compared() {
    let Some(world) = World::on_server() else { return };
    compare_versions(&world);
}

#[test]
fn handlers_are_listed_and_shown() {
    let world = World::new();
    let listed = world.run(&["handler", "list", "-o", "id"]).ended(0);
    assert_eq!(listed.out, "process_payment\nreserve_inventory\nship_order\nvalidate_order\n");
    let table = world.run(&["handler", "list"]).ended(0).plain();
    assert_eq!(table.out.lines().count(), 5);
    assert_eq!(world.run(&["handler", "list", "-o", "json"]).ended(0).json()[2]["name"], "ship_order");
    let shown = world.run(&["handler", "show", "ship_order"]).ended(0).plain();
    assert!(shown.out.contains("order_fulfillment.ship_order"), "{}", shown.out);
    assert_eq!(world.run(&["handler", "show", "ship_order", "-o", "json"]).ended(0).json()["name"], "ship_order");
}

#[test]
fn a_template_is_taken_as_it_is_in_the_environment_of_the_program() {
    let world = World::new();
    world.write(
        "more/t.yaml",
        "name: t\nsteps: [{ name: a, handler: validate_order, timeout_seconds: 5 }]\n\
         environments: { production: { steps: [{ name: ALL, timeout_seconds: 60 }] } }\n",
    );
    world.write("tasker.toml", "templates = 'more'\nenv = 'staging'\n");
    let show = |environment: Option<&str>| {
        let mut command = world.command(&["template", "show", "t"]);
        if let Some(environment) = environment {
            command.env("TASKER_ENV", environment);
        }
        finish(command).ended(0).plain().out
    };
    let shown = show(None);
    assert!(shown.contains("environment staging, of which the template says nothing\n"), "{shown}");
    assert!(shown.contains("  5.0 s"), "{shown}");
    let shown = show(Some("production"));
    assert!(shown.contains("environment production\n") && shown.contains("1 min"), "{shown}");
    let shown = show(Some(""));
    assert!(!shown.contains("environment") && shown.contains("  5.0 s"), "{shown}");
    // What is stored is what it was read as.
    let mut run = world.command(&["run", "t", "-o", "id"]);
    run.env("TASKER_ENV", "production");
    finish(run).ended(0);
    world.write("tasker.toml", "env = 'staging'\n");
    let stored = world.stock(&["template", "show", "t", "-o", "json"]).ended(0).json();
    assert_eq!((&stored["environment"], &stored["steps"][0]["timeout_ms"]), (&json!("production"), &json!(60_000)));
    world.write(
        "more/u.yaml",
        "name: u\nsteps: [{ name: a }]\nenvironments: { production: { steps: [{ name: b }] } }\n",
    );
    let refused = world.run(&["template", "check", "more/u.yaml"]);
    assert!(
        refused.code == 4 && refused.err.contains("error[T031]") && refused.err.contains("u.yaml:3:"),
        "{refused:?}"
    );
}

#[test]
fn a_schema_that_is_none_is_found_where_it_stands_and_one_that_is_refuses_inputs() {
    let world = World::new();
    world.write("tasker.toml", "templates = 'more'\n");
    world.write(
        "more/t.yaml",
        "name: t\ninput_schema:\n  required: [customer]\nsteps:\n  - name: a\n    handler: validate_order\n    result_schema: { type: objct }\n",
    );
    let ran = world.run(&["check"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("error[T032]: `result_schema` of step `a` cannot be used: `type`: "), "{}", ran.err);
    assert!(ran.err.contains("t.yaml:7:5]"), "{}", ran.err);
    world.write(
        "more/t.yaml",
        "name: t\ninput_schema:\n  required: [customer]\nsteps: [{ name: a, handler: validate_order }]\n",
    );
    world.run(&["check"]).ended(0);
    let refused = world.run(&["run", "t", "-i", "{}"]);
    refused.refused(4, "E204", "\"customer\" is a required property");
    assert!(world.run(&["task", "list", "-o", "id"]).ended(0).out.is_empty());
}
