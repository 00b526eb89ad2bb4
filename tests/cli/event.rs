//! Events that are stored, who was not given them, and what is done about a subscriber that is gone.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::world::{Running, World, eventually};

const FAILS: &[(&str, &str)] = &[("MAILER_FAILS", "1")];
const WITHOUT: &[(&str, &str)] = &[("WITHOUT_MAILER", "1")];

fn dev(world: &World, variables: &[(&str, &str)]) -> Running {
    let mut command = world.listener_command(&["dev"]);
    command.envs(variables.iter().copied());
    world.dev_of(command)
}

/// Runs a note to its end beside a worker, and gives the task's id.
fn note(world: &World) -> String {
    world.listener(&["run", "note", "--wait", "-o", "id"]).ended(0).out.trim().to_owned()
}

fn mailer(world: &World) -> Value {
    world.listener(&["event", "subscribers", "-o", "json"]).ended(0).json()[0].clone()
}

fn stop(worker: Running) {
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), 0);
}

/// Lists the events of a task that a subscriber fails on, and forgets the subscriber when it is gone.
fn list_and_forget(world: &World) {
    let worker = dev(world, FAILS);
    let task = note(world);
    eventually("the mailer has failed", || mailer(world)["failing"] == 1);
    let failing = mailer(world);
    assert_eq!((&failing["name"], &failing["patterns"]), (&json!("mailer"), &json!(["note.*"])), "{failing}");
    assert_eq!((&failing["undelivered"], &failing["last_error"]), (&json!(2), &json!("the mail is down")), "{failing}");
    let label = failing["given_by"].as_str().expect("a worker gives it its events").to_owned();
    let ran = world.listener(&["event", "subscribers"]).ended(0).plain();
    assert!(
        ran.out.contains("✖ mailer") && ran.out.contains(&label) && ran.out.contains("the mail is down"),
        "{ran:?}"
    );
    let held = format!("worker {label} gives `mailer` its events");
    world.listener(&["event", "forget", "mailer", "--yes"]).refused(7, "E329", &held);

    let ran = world.listener(&["event", "list", &task]).ended(0).plain();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.out);
    assert!(lines[1].contains("note.taken  take_note  1") && lines[1].ends_with("mailer"), "{}", ran.out);
    let events = world.listener(&["event", "list", &task, "-o", "json"]).ended(0).json();
    let (first, second) = (&events[0], &events[1]);
    assert_eq!(
        (&first["name"], &first["step"], &first["payload"]),
        (&json!("note.taken"), &json!("take_note"), &json!(7))
    );
    assert_eq!((&first["attempt"], &first["undelivered"]), (&json!(1), &json!(["mailer"])));
    assert_eq!((&second["name"], &second["payload"]), (&json!("note.filed"), &json!("filed")));
    let ran = world.listener(&["event", "list", &task, "--limit", "1"]).ended(0);
    let position = first["position"].to_string();
    assert!(ran.err.contains(&format!("--after {position}`")), "{}", ran.err);
    let later = world.listener(&["event", "list", &task, "--after", &position, "-o", "id"]).ended(0).out;
    assert_eq!(later.trim(), second["position"].to_string());
    stop(worker);

    let worker = dev(world, WITHOUT);
    let ran = world.listener(&["doctor"]).ended(0);
    assert!(
        ran.out.contains("! events") && ran.out.contains("`mailer` was not given 2 events, the oldest "),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("listener event forget mailer`"), "{}", ran.out);
    let ran = world.listener(&["event", "subscribers"]).ended(0).plain();
    assert!(ran.out.contains("nobody") && ran.err.contains("event forget <NAME>"), "{ran:?}");
    world.listener(&["event", "forget", "mialer"]).refused(3, "E328", "did you mean `mailer`?");
    let asked = "nobody can be asked whether to forget `mailer`, and drop 2 events that it was not given";
    world.listener(&["event", "forget", "mailer"]).refused(2, "E325", asked);
    let ran = world.listener(&["event", "forget", "mailer", "--yes"]).ended(0).plain();
    assert!(ran.err.contains("✔ forgot mailer; 2 events dropped"), "{}", ran.err);
    let ran = world.listener(&["event", "subscribers"]).ended(0);
    assert!(ran.err.contains("no program has subscribed to events of this database"), "{ran:?}");
    let events = world.listener(&["event", "list", &task, "-o", "json"]).ended(0).json();
    assert_eq!((&events[0]["undelivered"], &events[1]["undelivered"]), (&json!([]), &json!([])));
    assert!(!world.listener(&["doctor"]).ended(0).out.contains("events"), "there is nothing to say");
    stop(worker);
}

#[test]
fn a_subscriber_that_is_gone_is_found_and_forgotten() {
    list_and_forget(&World::new());
}

#[test]
fn a_subscriber_that_is_gone_is_found_and_forgotten_on_a_server() {
    let Some(world) = World::on_server() else { return };
    list_and_forget(&world);
}

#[test]
fn what_was_not_delivered_for_a_day_is_told_by_the_doctor() {
    let world = World::new();
    let worker = dev(&world, FAILS);
    note(&world);
    eventually("the mailer has failed", || mailer(&world)["failing"] == 1);
    let good = world.listener(&["doctor"]).ended(0);
    assert!(good.out.contains("✔ events       1 subscriber; 2 events to be delivered"), "{}", good.out);
    let file = rusqlite::Connection::open(world.path("tasker.db")).expect("it opens");
    file.execute_batch("UPDATE domain_events SET at = at - 172800000000").expect("it is done");
    let failing = world.listener(&["doctor"]).ended(0);
    let words = "`mailer` was not given 2 events, the oldest 2 d ago: the mail is down";
    assert!(failing.out.contains(words), "{}", failing.out);
    stop(worker);
    // Where no worker runs at all, nothing can be said of one that was there a moment ago.
    let gone = world.listener(&["doctor", "--quick", "-o", "id"]).ended(0);
    assert_eq!(gone.out, "events\n");
    file.execute_batch("UPDATE domain_events SET at = at + 172800000000").expect("it is done");
    assert_eq!(world.listener(&["doctor", "-o", "id"]).ended(0).out, "");
}

#[test]
fn a_task_without_stored_events_has_none() {
    let world = World::new();
    world.listener(&["event", "subscribers"]).refused(3, "E306", "there is no database at ");
    let mut command = world.listener_command(&["run", "note", "--wait", "-o", "id"]);
    command.envs(WITHOUT.iter().copied());
    let task = crate::world::finish(command).ended(0).out;
    let listed = world.listener(&["event", "list", "-o", "json"]).ended(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "they are stored, whoever listens: {listed}");
    let other = world.order(crate::world::ORDER);
    let ran = world.listener(&["event", "list", &other]).ended(0);
    assert!(ran.err.contains("no event of this task is stored"), "{}", ran.err);
    assert_eq!(world.listener(&["event", "list", &other, "-o", "id"]).ended(0).out, "");
    world.listener(&["event", "list", "ffff"]).refused(3, "E102", "there is no task");
    drop(task);
}

#[test]
fn a_run_that_is_its_own_worker_gives_its_last_events_before_it_ends() {
    let world = World::new();
    for _ in 0..5 {
        note(&world);
        assert_eq!(mailer(&world)["undelivered"], 0);
    }
}

#[test]
fn a_publisher_that_is_missing_is_found_at_its_place() {
    let world = World::new();
    let template = "name: sums\nsteps:\n  - name: take_note\n    publishes_events:\n      - { name: note.taken }\n      - { name: note.summed, publisher: toatls }\n      - { name: note.mailed, publisher: letters }\n";
    world.write("sums.yaml", template);
    let ran = world.listener(&["template", "check", "sums.yaml"]).refused(4, "E314", "1 template: 2 errors").plain();
    for words in [
        "error[E216]: step `take_note` names publisher `toatls`, which this program does not have",
        "[sums.yaml:6:41]",
        "did you mean `totals`?",
        "[sums.yaml:7:41]",
        "register it with `register_publisher!`",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert_eq!(world.listener(&["template", "check", "sums.yaml", "-o", "id"]).ended(4).out, "E216\nE216\n");
    world.stock(&["template", "check", "sums.yaml"]).ended(0);
    // At a start everything is told at once.
    world.write("templates/sums.yaml", template);
    let ran = world.listener(&["dev"]).refused(4, "E301", "this program cannot start: 2 problems").plain();
    assert!(ran.err.contains("sums.yaml: step `take_note` names publisher `letters`"), "{}", ran.err);
    world.write("templates/sums.yaml", template.replace("toatls", "totals").replace("letters", "totals"));
    world.listener(&["check"]).ended(0);
}

#[test]
fn what_open_tasks_need_of_publishers_is_told() {
    let world = World::new();
    world.write(
        "templates/sums.yaml",
        "name: sums\nsteps: [{ name: take_note, publishes_events: [{ name: note.summed, publisher: totals }] }]\n",
    );
    world.listener(&["run", "sums"]).ended(0);
    std::fs::remove_file(world.path("templates/sums.yaml")).expect("it was there");
    world.listener(&["check"]).ended(0);
    let mut command = world.listener_command(&["check"]);
    command.envs([("WITHOUT_TOTALS", "1")]);
    let ran = crate::world::finish(command).ended(0);
    let words =
        "1 open task of `sums` 0.1.0: step `take_note` names publisher `totals`, which this program does not have";
    assert!(ran.err.contains(words), "{}", ran.err);
}
