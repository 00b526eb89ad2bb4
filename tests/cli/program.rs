//! What a program says of itself: the bare command, help, codes, completions, the demo.

use serde_json::json;

use crate::world::{ORDER, World};

#[test]
fn the_bare_command_says_where_things_stand_and_what_to_type() {
    let world = World::new();
    let ran = world.run(&[]).ended(0).plain();
    for words in
        ["order_fulfillment 0.1.0", "none yet; it will be ", "handlers    4", " run order_fulfillment ", " dev\n"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let stock = world.stock(&[]).ended(0);
    assert!(stock.out.contains(" demo\n") && stock.out.contains(" new my-app\n"), "{}", stock.out);
    world.order(ORDER);
    let ran = world.run(&["-o", "json"]).ended(0).json();
    assert_eq!((&ran["handlers"], &ran["database"]["open_tasks"]), (&json!(4), &json!(0)));
    assert!(world.run(&["-o", "id"]).ended(0).out.ends_with("tasker.db\n"));
}

#[test]
fn help_and_version_go_to_stdout() {
    let world = World::new();
    let help = world.run(&["--help"]).ended(0).plain();
    assert!(help.out.contains("Usage: order_fulfillment") && !help.out.contains("demo"), "{}", help.out);
    assert!(world.stock(&["--help"]).ended(0).out.contains("demo"));
    assert!(world.run(&["--version"]).ended(0).out.ends_with("0.1.0\n"));
    for verb in
        ["new", "dev", "run", "task", "step", "template", "handler", "check", "doctor", "db", "explain", "completions"]
    {
        world.run(&[verb, "--help"]).ended(0).plain();
    }
}

#[test]
fn every_code_is_explained() {
    let world = World::new();
    let codes = world.run(&["explain", "-o", "id"]).ended(0).out;
    assert!(codes.lines().count() > 60);
    for code in ["E201", "e201", "[T012]", "D008"] {
        let ran = world.run(&["explain", code]).ended(0).plain();
        assert!(ran.out.lines().count() >= 3, "{}", ran.out);
    }
    assert_eq!(world.run(&["explain", "T012", "-o", "json"]).ended(0).json()["title"], "unknown dependency");
    assert_eq!(world.run(&["explain", "-o", "jsonl"]).ended(0).out.lines().count(), codes.lines().count());
    world.run(&["explain"]).ended(0).plain();
}

#[test]
fn a_program_is_told_of_its_mistakes_in_the_form_that_it_asked_for() {
    let world = World::new();
    for (arguments, words) in [
        (&["task", "list", "--lmit", "3", "-o", "json"][..], "unexpected argument '--lmit' found"),
        (&["task", "lst", "--output=jsonl"], "unrecognized subcommand 'lst'"),
        (&["run", "-ojson"], "required arguments were not provided: <TEMPLATE>"),
        (&["task", "list", "--limit", "many", "-o", "id"], "invalid value 'many'"),
        (&["task", "-o", "json"], "requires a subcommand"),
        (&["-o", "json", "task"], "the command is not complete"),
    ] {
        let ran = world.run(arguments).ended(2).plain();
        let problem = ran.problem();
        assert_eq!(problem["code"], "E324", "{ran:?}");
        let message = problem["message"].as_str().expect("it is text");
        assert!(message.contains(words) && !message.contains('\n'), "{words}: {message}");
        assert!(problem["help"].as_str().is_some_and(|help| help.contains("Usage: ") || help.contains("--help")));
        assert_eq!((ran.out.as_str(), ran.err.lines().count()), ("", 1));
    }
    let people = world.run(&["task", "list", "--lmit", "3"]).ended(2);
    assert!(people.err.starts_with("error: unexpected argument '--lmit'"), "{}", people.err);
    assert!(world.run(&["--help", "-o", "json"]).ended(0).out.contains("Usage:"));
}

#[test]
fn completions_are_for_the_program_that_prints_them() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = world.run(&["completions", shell]).ended(0);
        assert!(ran.out.contains("order_fulfillment"), "{shell}");
    }
}

#[test]
fn the_demo_runs_on_a_database_of_its_own_and_says_what_to_try() {
    let world = World::new();
    let ran = world.stock(&["demo"]).ended(0).plain();
    assert!(!world.path("tasker.db").exists());
    for words in
        ["attempt 1/3  timeout: the gateway did not answer", "✔ completed in", "✖ failed in", "What to try next"]
    {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert!(ran.out.contains("\"order_total\": 59.98"), "{}", ran.out);
    // What it says to type works.
    let line = ran.err.lines().find(|line| line.contains("task list")).expect("it is said");
    let database = line.split_whitespace().skip_while(|word| *word != "--db").nth(1).expect("it names the database");
    let listed = world.stock(&["task", "list", "--db", database, "-o", "json"]).ended(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
    let folder = std::path::Path::new(database).parent().expect("it is in a folder");
    std::fs::remove_dir_all(folder).expect("it can be removed");
    world.run(&["demo"]).refused(1, "E318", "this program has no demo");
}
