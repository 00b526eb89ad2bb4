//! Decisions and steps that are skipped, as a person and a program see them.

use serde_json::json;

use crate::world::World;

/// A world whose programs have this template, too.
fn with_template(name: &str, steps: &str) -> World {
    let world = World::new();
    world.write("tasker.toml", "templates = 'more'");
    world.write(&format!("more/{name}.yaml"), format!("name: {name}\nsteps:\n{steps}"));
    world
}

const BRANCHES: &str = "  - { name: route_order, type: decision, handler: route_approval }
  - { name: auto_approve, dependencies: [route_order] }
  - { name: archive, handler: auto_approve, dependencies: [auto_approve] }
  - { name: manager_approval, dependencies: [route_order] }
  - { name: finance_review, dependencies: [route_order] }
";

#[test]
fn a_step_that_was_not_chosen_says_so_and_has_no_part_in_the_result() {
    let world = with_template("branches", BRANCHES);
    let ran = world.approval(&["run", "branches", "-i", r#"{ "amount": 1000 }"#, "--wait"]).ended(0).plain();
    for words in [
        "  ✔ route_order       ",
        "  ↷ auto_approve      not chosen by `route_order`\n",
        "  ↷ archive           comes after `auto_approve`, which was skipped\n",
        "  ↷ finance_review    not chosen by `route_order`\n",
        "  ✔ manager_approval  ",
        "✔ completed in ",
        ", 3 of 5 steps skipped\n",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    // `archive` and `finance_review` are last steps, too.
    assert_eq!(ran.json(), json!({ "manager_approval": { "by": "the manager" } }));

    let shown = world.approval(&["task", "show"]).ended(0).plain();
    let line = |step: &str| {
        let found = shown.out.lines().find(|line| line.contains(step));
        found.unwrap_or_else(|| panic!("{step}: {}", shown.out)).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("↷ auto_approve"), "↷ auto_approve skipped not chosen by `route_order`");
    assert_eq!(line("↷ archive"), "↷ archive skipped comes after `auto_approve`, which was skipped");
    let listed = world.approval(&["task", "list"]).ended(0).plain();
    assert!(listed.out.contains("5/5"), "{}", listed.out);
    let step = world.approval(&["step", "show", "@last", "auto_approve"]).ended(0).plain();
    assert!(step.out.contains("  because     not chosen by `route_order`\n"), "{}", step.out);
    assert!(!step.out.contains("attempt"), "{}", step.out);
}

#[test]
fn a_program_is_told_which_steps_were_skipped_and_why() {
    let world = with_template("branches", BRANCHES);
    let ran = world.approval(&["run", "branches", "-i", r#"{ "amount": 5000 }"#, "--wait", "-o", "json"]).ended(0);
    let task = ran.json();
    let counted = ["total_steps", "completed_steps", "failed_steps", "skipped_steps"].map(|key| task[key].as_u64());
    assert_eq!(counted, [Some(5), Some(3), Some(0), Some(2)]);
    let skipped = |number: usize| (&task["steps"][number]["current_state"], &task["steps"][number]["skipped"]);
    assert_eq!(skipped(1), (&json!("skipped"), &json!({ "reason": "not_chosen", "by": "route_order" })));
    assert_eq!(skipped(2), (&json!("skipped"), &json!({ "reason": "after_skipped", "step": "auto_approve" })));
    assert!(task["steps"][3].get("skipped").is_none(), "{task}");
    let routed = &task["steps"][0]["result"];
    assert_eq!(routed["activated_steps"], json!(["manager_approval", "finance_review"]));
    let step = world.approval(&["step", "show", "@last", "archive", "-o", "json"]).ended(0).json();
    assert_eq!(step["skipped"]["step"], "auto_approve");
    assert_eq!(world.approval(&["task", "show", "-o", "json"]).ended(0).json(), task);
}

#[test]
fn a_step_that_is_skipped_over_says_what_went_wrong() {
    // A route beside the point: its handler fails for good where there is nothing to approve.
    let steps = "  - { name: ask, handler: route_approval, skippable: true }\n  - { name: manager_approval, dependencies: [ask] }\n";
    let world = with_template("over", steps);
    let ran = world.approval(&["run", "over", "-i", r#"{ "amount": 0 }"#, "--wait"]).ended(0).plain();
    let told = "  ↷ ask               attempt 1  permanent_error: there is nothing to approve  skipped over\n";
    assert!(ran.err.contains(told), "{}", ran.err);
    assert!(ran.err.contains(", 1 of 2 steps skipped\n"), "{}", ran.err);
    assert_eq!(ran.json(), json!({ "by": "the manager" }));
    let shown = world.approval(&["task", "show"]).ended(0).plain();
    assert!(shown.out.contains("permanent_error: there is nothing to approve"), "{}", shown.out);
    let step = world.approval(&["step", "show", "@last", "ask"]).ended(0).plain();
    assert!(step.out.contains("  because     skipped over after it failed\n"), "{}", step.out);
    let step = world.approval(&["step", "show", "@last", "ask", "-o", "json"]).ended(0).json();
    assert_eq!(step["skipped"], json!({ "reason": "failed" }));
    assert_eq!(step["error"]["error_code"], "NOTHING_TO_APPROVE");
}

#[test]
fn a_route_that_does_not_fit_its_template_is_found_by_check() {
    let world = World::new();
    let steps = "name: odd\nsteps:\n  - { name: auto_approve }\n  - { name: route, type: decision, handler: route_approval }\n  - { name: manager_approval, dependencies: [route] }\n  - { name: nobody, handler: auto_approve, dependencies: [route] }\n  - { name: again, handler: route_approval, dependencies: [route] }\n";
    world.write("odd.yaml", steps);
    let ran = world.approval(&["template", "check", "odd.yaml"]).refused(4, "E314", "1 template: 2 errors").plain();
    for words in [
        "error[E209]: the decision `route` may choose step `auto_approve`, which does not come after it (handler `route_approval`",
        "add `route` to the `dependencies` of `auto_approve`",
        "error[E209]: the decision `route` may choose step `finance_review`, which is not in this template",
        "warning[E210]: no route of the decision `route` leads to step `nobody`",
        "[odd.yaml:6:13]",
        "let a variant name it: `#[route(\"nobody\")]`",
        "warning[E211]: step `again` gives a route but is no decision",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    // A branch whose later step is named is chosen, and a convergence is no branch.
    let fits = "name: fits\nsteps:\n  - { name: route, type: decision, handler: route_approval }\n  - { name: prepare, handler: auto_approve, dependencies: [route] }\n  - { name: manager_approval, dependencies: [prepare] }\n  - { name: finance_review, dependencies: [route] }\n  - { name: auto_approve, dependencies: [route] }\n  - { name: join, type: deferred_convergence, handler: auto_approve, dependencies: [route, manager_approval] }\n";
    world.write("fits.yaml", fits);
    let ran = world.approval(&["template", "check", "fits.yaml"]).ended(0).plain();
    assert!(!ran.err.contains("warning"), "{}", ran.err);
}
