//! What operators do to many tasks at once, and what became of those that failed.

use serde_json::{Value, json};

use crate::world::{ORDER, STOLEN, World};

/// An order whose payment fails for good after two tries.
const UNPAID: &str = r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "payment": { "timeouts": 9 } }"#;

fn submit(world: &World, times: usize) -> Vec<String> {
    (0..times).map(|_| world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0).out.trim().to_owned()).collect()
}

fn ids(world: &World, state: &str) -> Vec<String> {
    let ran = world.run(&["task", "list", "-o", "id", "--state", state]).ended(0);
    ran.out.lines().map(str::to_owned).collect()
}

/// Lists, pauses, resumes, cancels and resolves all at once.
fn act_on_many(world: &World) {
    let (failed, done) = (world.order(STOLEN), world.order(ORDER));
    let mut open = submit(world, 3);
    open.reverse();

    let ran = world.run(&["task", "pause", "--all"]).refused(2, "E325", "nobody can be asked whether to pause 3 tasks");
    assert!(ran.err.contains("--dry-run") && ran.err.contains("--yes"), "{}", ran.err);
    let ran = world.run(&["task", "pause", "--all", "--dry-run"]).ended(0).plain();
    assert_eq!(ran.out.lines().count(), 4, "{}", ran.out);
    assert!(ran.err.contains("would pause 3 tasks; nothing was changed"), "{}", ran.err);
    let meant = world.run(&["task", "pause", "--all", "--dry-run", "-o", "id"]).ended(0).out;
    assert_eq!(meant.lines().collect::<Vec<_>>(), open, "what is over is not meant");
    let meant = world.run(&["task", "pause", "--all", "--dry-run", "-o", "json"]).ended(0).json();
    assert_eq!((&meant["meant"], &meant["tasks"][0]["task_uuid"]), (&json!(3), &json!(open[0])), "{meant}");
    assert_eq!(ids(world, "pending"), open);

    let ran = world.run(&["task", "pause", "--all", "--yes", "--reason", "a holiday"]).ended(0).plain();
    assert!(ran.err.contains("✔ paused 3 tasks; what runs goes on to its end"), "{}", ran.err);
    assert_eq!(ids(world, "paused"), open);
    for task in &open {
        let actions = world.show(task)["actions"].clone();
        assert_eq!(actions.as_array().map(Vec::len), Some(1), "{actions}");
        assert_eq!((&actions[0]["action"], &actions[0]["reason"]), (&json!("pause"), &json!("a holiday")));
    }
    let ran = world.run(&["task", "resume", "--all", "--yes", "--template", "other"]).ended(0);
    assert!(ran.err.contains("there is no task to resume"), "{}", ran.err);
    let ran =
        world.run(&["task", "resume", "--all", "--yes", "--template", "order_fulfillment", "-o", "json"]).ended(0);
    let told = ran.json();
    assert_eq!((&told["action"], &told["done"], &told["refused"]), (&json!("resume"), &json!(3), &json!(0)), "{told}");
    assert_eq!(told["tasks"][2], json!({ "task_uuid": open[2], "status": "pending" }));

    let some = ["task", "cancel", "--all", "--yes", "-s", "pending", "-s", "completed", "-n", "ecommerce"];
    let ran = world.run(&some).refused(7, "E326", "1 of 4 tasks refused");
    assert!(ran.err.contains(&format!("task {done} is completed: it cannot be cancelled")), "{}", ran.err);
    assert!(ran.err.contains("✔ cancelled 3 tasks"), "{}", ran.err);
    assert_eq!(ids(world, "cancelled"), open, "one that refuses holds up no other");
    let told = world.run(&["task", "cancel", "--all", "--yes", "-s", "completed", "-o", "jsonl"]).ended(7);
    assert_eq!((&told.json()["task_uuid"], &told.json()["code"]), (&json!(done), &json!("E104")));

    world.run(&["task", "resolve", "--all", "--yes"]).refused(2, "E212", "needs a reason");
    let ran = world.run(&["dlq", "resolve", "--all", "--yes", "--reason", "written off", "-o", "id"]).ended(0);
    assert_eq!(ran.out.trim(), failed);
    assert_eq!(ids(world, "resolved_manually"), [failed]);
}

#[test]
fn many_tasks_are_acted_on_at_once_and_each_in_its_own_right() {
    act_on_many(&World::new());
}

#[test]
fn many_tasks_on_a_server_are_acted_on_at_once() {
    let Some(world) = World::on_server() else { return };
    act_on_many(&world);
}

#[test]
fn one_task_is_not_all_and_a_filter_needs_all() {
    let world = World::new();
    let task = world.order(STOLEN);
    for arguments in [
        &["task", "pause"][..],
        &["task", "pause", "--state", "failed"],
        &["task", "pause", &task, "--all"],
        &["task", "pause", &task, "--state", "failed"],
        &["task", "resolve", &task, "--template", "order_fulfillment"],
        &["task", "cancel", &task, "--dry-run"],
        &["task", "pause", &task, "--step", "process_payment"],
        &["task", "retry", &task, "--error", "CARD_DECLINED"],
        &["task", "pause", "--all", "--state", "stuck"],
    ] {
        let ran = world.run(arguments).ended(2);
        assert!(ran.err.contains("Usage:") || ran.err.contains("a task is pending, running, paused"), "{ran:?}");
    }
    assert_eq!(world.show(&task).get("actions"), None);
}

#[test]
fn what_is_retried_at_once_goes_on_with_the_next_worker() {
    let world = World::new();
    let tasks = [world.order(STOLEN), world.order(STOLEN)];
    let ran = world.run(&["task", "retry", "--all", "--yes"]).ended(0);
    assert!(ran.err.contains("✔ retried 2 tasks") && ran.err.contains("no worker runs"), "{}", ran.err);
    let worker = world.dev();
    for task in &tasks {
        world.wait_for_task(task, "failed");
        assert_eq!(world.show(task)["steps"][2]["attempts"], 2);
    }
    drop(worker);
}

/// Chooses among what failed by step and error.
fn choose_by_failure(world: &World) {
    let (stolen, unpaid) = (world.order(STOLEN), world.order(UNPAID));
    world.order(ORDER);
    let chosen = |verb: &[&str], more: &[&str]| {
        let ran = world.run(&[verb, &["-o", "id"], more].concat()).ended(0);
        ran.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, both): (Vec<String>, Vec<String>) = (vec![stolen.clone()], vec![unpaid.clone(), stolen.clone()]);
    let kinds: [(&[&str], &[String]); 7] = [
        (&["--step", "process_payment"], &both),
        (&["--step", "ship_order"], &[]),
        (&["--step", "process_paymen"], &[]),
        (&["--error", "CARD_DECLINED"], &one),
        (&["--error", "timeout"], &both[..1]),
        (&["--step", "process_payment", "--error", "CARD_DECLINED"], &one),
        (&["--step", "validate_order", "--error", "CARD_DECLINED"], &[]),
    ];
    for (more, expected) in kinds {
        let lists: [&[&str]; 4] = [
            &["task", "list"],
            &["dlq", "list", "--group", "none"],
            &["task", "retry", "--all", "--dry-run"],
            &["dlq", "resolve", "--all", "--dry-run", "--reason", "x"],
        ];
        for list in lists {
            assert_eq!(chosen(list, more), expected, "{list:?} {more:?}");
        }
        assert_eq!(chosen(&["task", "pause", "--all", "--dry-run"], more), [""; 0], "what has failed cannot be paused");
    }
    assert_eq!(chosen(&["task", "list", "-s", "completed"], &["--step", "process_payment"]), [""; 0]);
    let groups = world.run(&["dlq", "list", "-o", "json", "--step", "process_payment", "--error", "CARD_DECLINED"]);
    let groups = groups.ended(0).json();
    assert_eq!((groups.as_array().map(Vec::len), &groups[0]["newest"]), (Some(1), &json!(stolen)), "{groups}");

    let ran = world.run(&["dlq", "list"]).ended(0).plain();
    let kind = "task retry --all --namespace ecommerce --template order_fulfillment --step process_payment \
                --error GATEWAY_TIMEOUT --dry-run";
    assert!(ran.err.contains(kind), "it says how to look at all of a kind: {}", ran.err);

    let error = ["--step", "process_payment", "--error", "CARD_DECLINED", "--template", "order_fulfillment"];
    let retried = chosen(&["task", "retry", "--all", "--yes"], &error);
    assert_eq!(retried, one);
    let states = [&stolen, &unpaid].map(|task| world.show(task)["status"].clone());
    assert_eq!(states, [json!("running"), json!("failed")], "only what was meant is tried again");
    let resolved = chosen(&["dlq", "resolve", "--all", "--yes", "--reason", "written off"], &["--error", "timeout"]);
    assert_eq!(resolved, [unpaid]);
}

#[test]
fn many_tasks_are_chosen_by_what_failed_of_them() {
    choose_by_failure(&World::new());
}

#[test]
fn many_tasks_on_a_server_are_chosen_by_what_failed_of_them() {
    let Some(world) = World::on_server() else { return };
    choose_by_failure(&world);
}

/// The same template in two namespaces: what failed in one is not what failed in the other.
fn tell_namespaces_apart(world: &World) {
    let yaml = include_str!("../../examples/order_fulfillment/templates/order_fulfillment.yaml");
    let other = yaml.replace("namespace_name: ecommerce", "namespace_name: wholesale");
    assert_ne!(other, yaml);
    world.write("more/order_fulfillment.yaml", other);
    world.write("tasker.toml", "templates = 'more'\n");
    let order = |namespace: &str| {
        let arguments = ["run", "order_fulfillment", "-n", namespace, "-i", STOLEN, "--wait", "-o", "id"];
        world.run(&arguments).ended(8).out.trim().to_owned()
    };
    let (first, second, third) = (order("ecommerce"), order("ecommerce"), order("wholesale"));

    let groups = world.run(&["dlq", "list", "-o", "json"]).ended(0).json();
    let told = groups.as_array().expect("it is a list").iter();
    let told: Vec<_> = told.map(|group| [&group["namespace"], &group["failures"], &group["newest"]]).collect();
    let expected = [[json!("wholesale"), json!(1), json!(third)], [json!("ecommerce"), json!(2), json!(second)]];
    assert_eq!(told, expected.each_ref().map(|group| group.each_ref()));

    for (namespace, count, meant) in
        [("wholesale", 1, format!("{third}\n")), ("ecommerce", 2, format!("{second}\n{first}\n"))]
    {
        let ran = world.run(&["dlq", "list", "--namespace", namespace]).ended(0).plain();
        let lines: Vec<&str> = ran.out.lines().collect();
        assert!(lines[0].contains("NAMESPACE  TEMPLATE") && lines.len() == 2, "{}", ran.out);
        assert!(lines[1].starts_with(&format!("✖ {count}")) && lines[1].contains(namespace), "{}", ran.out);
        // The command that it suggests means those that it counted.
        let command = ran.err.lines().find(|line| line.contains("task retry --all")).expect("it suggests one");
        let command = &command[command.find("task retry").expect("it is there")..];
        let words = command.split_inclusive("--dry-run").next().expect("there is a first").split_whitespace();
        let words: Vec<&str> = words.chain(["-o", "id"]).collect();
        assert_eq!(world.run(&words).ended(0).out, meant, "{words:?}");
    }
}

#[test]
fn what_failed_in_two_namespaces_is_told_apart() {
    tell_namespaces_apart(&World::new());
}

#[test]
fn what_failed_in_two_namespaces_of_a_server_is_told_apart() {
    let Some(world) = World::on_server() else { return };
    tell_namespaces_apart(&world);
}

/// Lists what failed, and why.
fn look_at_the_dead(world: &World) {
    let ran = world.run(&["db", "migrate"]).ended(0);
    drop(ran);
    assert!(world.run(&["dlq", "list"]).ended(0).err.contains("nothing has failed"));
    let first = world.order(STOLEN);
    let second = world.order(STOLEN);
    let unpaid = world.order(UNPAID);
    let done = world.order(ORDER);

    let ran = world.run(&["dlq", "list"]).ended(0).plain();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.out);
    assert!(lines[1].starts_with("✖ 1") && lines[1].contains("timeout GATEWAY_TIMEOUT"), "{}", ran.out);
    assert!(lines[2].starts_with("✖ 2") && lines[2].contains("order_fulfillment  process_payment"), "{}", ran.out);
    assert!(lines[2].contains("CARD_DECLINED") && ran.err.contains("dlq show "), "{ran:?}");
    let groups = world.run(&["dlq", "list", "-o", "json"]).ended(0).json();
    let group = &groups[1];
    assert_eq!(
        (&group["failures"], &group["newest"], &group["step"], &group["error_code"], &group["namespace"]),
        (&json!(2), &json!(second), &json!("process_payment"), &json!("CARD_DECLINED"), &json!("ecommerce"))
    );
    assert_eq!(world.run(&["dlq", "list", "-o", "id"]).ended(0).out, format!("{unpaid}\n{second}\n"));
    assert_eq!(world.run(&["dlq", "list", "-o", "json", "--template", "x"]).ended(0).json(), json!([]));
    assert_eq!(
        world.run(&["dlq", "list", "-o", "json", "--limit", "1"]).ended(0).json().as_array().map(Vec::len),
        Some(1)
    );

    let ran = world.run(&["dlq", "list", "--group", "none", "--limit", "2"]).ended(0).plain();
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);
    assert!(ran.out.contains("the card was declined") && ran.err.contains("dlq list --group none --before"), "{ran:?}");
    let singles = world.run(&["dlq", "list", "--group", "none", "-o", "id"]).ended(0).out;
    assert_eq!(singles, format!("{unpaid}\n{second}\n{first}\n"));

    let ran = world.run(&["dlq", "show"]).ended(0).plain();
    for words in [
        &unpaid,
        "process_payment",
        "1        failed",
        "2        failed",
        "last, attempt 3",
        "timeout [GATEWAY_TIMEOUT]",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    assert!(ran.err.contains("task retry ") && ran.err.contains("dlq resolve "), "{}", ran.err);
    let shown = world.run(&["dlq", "show", &unpaid, "-o", "json"]).ended(0).json();
    let step = &shown["failed_steps"][0];
    assert_eq!(shown["failed_steps"].as_array().map(Vec::len), Some(1));
    assert_eq!((&step["name"], &step["attempts"]), (&json!("process_payment"), &json!(3)));
    let codes: Vec<&Value> =
        step["history"].as_array().expect("it is a list").iter().map(|a| &a["error"]["error_code"]).collect();
    assert_eq!((codes, &step["error"]["error_code"]), (vec![&json!("GATEWAY_TIMEOUT"); 2], &json!("GATEWAY_TIMEOUT")));
    world.run(&["dlq", "show", &done]).refused(3, "E327", "is completed: it is no dead letter");

    world.run(&["dlq", "resolve", &unpaid, "--reason", "written off"]).ended(0);
    assert_eq!(world.run(&["dlq", "list", "-o", "id"]).ended(0).out, format!("{second}\n"));
}

#[test]
fn what_failed_is_listed_by_its_error_and_shown_with_every_attempt() {
    look_at_the_dead(&World::new());
}

#[test]
fn what_failed_on_a_server_is_listed_by_its_error() {
    let Some(world) = World::on_server() else { return };
    look_at_the_dead(&world);
}
