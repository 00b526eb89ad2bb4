//! The same program on a PostgreSQL server: many workers, and what goes wrong between here and there.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use crate::world::{ORDER, Ran, SLOW, World, eventually, finish};

/// Runs the program with another database URL.
fn with_url(world: &World, url: &str, arguments: &[&str]) -> Ran {
    let mut command = world.command(arguments);
    command.env("DATABASE_URL", url);
    finish(command)
}

#[test]
fn an_order_runs_on_a_server() {
    let Some(world) = World::on_server() else { return };
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait", "-o", "json"]).ended(0);
    assert_eq!(ran.json()["status"], "completed");
    let info = world.run(&["db", "info", "-o", "json"]).ended(0).json();
    assert_eq!((&info["worker_runs"], &info["open_tasks"]), (&json!(false), &json!(0)), "{info}");
    assert!(info["path"].as_str().is_some_and(|path| path.starts_with("postgres://tasker@")), "{info}");
    let doctor = world.run(&["doctor", "-o", "json"]).ended(0).json();
    assert_eq!(doctor["healthy"], true, "{doctor}");
    let ran = world.run(&["doctor"]).ended(0);
    assert!(ran.out.contains("PostgreSQL") && ran.out.contains("all hold in 1 task"), "{}", ran.out);
    let ran = world.run(&[]).ended(0);
    assert!(ran.out.contains("postgres://tasker@127.0.0.1"), "{}", ran.out);
    assert!(!world.path("tasker.db").exists());
}

#[test]
fn workers_share_the_tasks_of_a_server() {
    let Some(world) = World::on_server() else { return };
    let (one, two) = (world.dev(), world.dev());
    let info = world.run(&["db", "info", "-o", "json"]).ended(0).json();
    assert_eq!(info["workers"].as_array().map(Vec::len), Some(2), "{info}");
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait", "-o", "json"]).ended(0);
    assert_eq!(ran.json()["status"], "completed", "one of the two ran it");
    for worker in [one, two] {
        worker.signal(Signal::TERM);
        assert_eq!(worker.wait(), 0);
    }
    let info = world.run(&["db", "info", "-o", "json"]).ended(0).json();
    assert_eq!(info["workers"], json!([]), "a worker that stops gives its lease up");
}

#[test]
fn a_worker_takes_over_from_one_that_was_killed_when_the_lease_has_ended() {
    let Some(world) = World::on_server() else { return };
    world.write("tasker.toml", "lease_seconds = 2");
    let one = world.dev();
    let task = world.run(&["run", "order_fulfillment", "-i", SLOW]).ended(0).out.trim().to_owned();
    world.wait_for_step(&task, "reserve_inventory", "running");
    let two = world.dev();
    one.kill();
    eventually("the step is tried again", || {
        let shown = world.run(&["step", "show", &task, "reserve_inventory", "-o", "json"]).ended(0).json();
        shown["current_state"] == "running" && shown["attempts"] == 2 && shown["history"][0]["outcome"] == "lost"
    });
    assert!(two.log().contains("took back the steps of workers that are gone"), "{}", two.log());
}

#[test]
fn what_a_stopping_worker_gives_back_is_run_by_another_one_at_once() {
    let Some(world) = World::on_server() else { return };
    world.write("tasker.toml", "drain_seconds = 0.05");
    let one = world.dev();
    let task = world.run(&["run", "order_fulfillment", "-i", SLOW]).ended(0).out.trim().to_owned();
    world.wait_for_step(&task, "reserve_inventory", "running");
    let _two = world.dev();
    one.signal(Signal::TERM);
    assert_eq!(one.wait(), 0);
    eventually("the step is tried again", || {
        let shown = world.run(&["step", "show", &task, "reserve_inventory", "-o", "json"]).ended(0).json();
        shown["current_state"] == "running" && shown["attempts"] == 2 && shown["history"][0]["outcome"] == "released"
    });
}

#[test]
fn a_step_that_no_live_worker_can_run_is_told() {
    let Some(world) = World::on_server() else { return };
    world.run(&["run", "order_fulfillment", "-i", ORDER, "-o", "id"]).ended(0);
    let mut clumsy = world.clumsy_command(&["dev"]);
    clumsy.env("DATABASE_URL", world.server().url());
    let _other = world.dev_of(clumsy);
    let ran = world.run(&["doctor"]).ended(0);
    let shown = world.run(&["task", "show", "@last"]).ended(0);
    let words = "no live worker has handler `validate_order`, which step `validate_order` waits for";
    assert!(shown.err.contains(words), "{}", shown.err);
    assert!(ran.out.contains("no live worker has handler `validate_order`, which 1 step wait for"), "{}", ran.out);
    let figures = world.run(&["doctor", "-o", "json"]).ended(0).json()["figures"].clone();
    let expected = serde_json::json!({ "tasks": 1, "live_workers": 1, "steps_without_worker": 1 });
    assert_eq!(figures, expected);
}

#[test]
fn what_is_wrong_with_a_server_is_told_with_what_to_do() {
    let Some(world) = World::on_server() else { return };
    let server = world.server();
    let told = |url: &str, exit, code, words: &str| {
        let ran = with_url(&world, url, &["task", "list"]).refused(exit, code, words);
        assert!(ran.err.contains("help: "), "{}", ran.err);
        assert!(!ran.err.contains("secret-word"), "{}", ran.err);
    };
    let user = server.user("");
    told(&server.url_of(&user.name, "wrong"), 5, "D009", "check user and password in the database URL");
    told(
        &user.url().replace(user.name.as_str(), "nobody-here"),
        5,
        "D009",
        "check user and password in the database URL",
    );
    told(&format!("{}-not", user.url()), 5, "D009", "does not exist");
    told(&user.url(), 5, "D009", "the user needs more rights");
    told("postgres://a:secret-word@127.0.0.1:1/x", 5, "D001", "start the server, or check host and port");
    server.sql(&format!("ALTER ROLE {} CONNECTION LIMIT 0", user.name));
    told(&user.url(), 5, "D001", "too many connections");
}

/// Has a port lead to the server of the tests.
fn lead(from: u16, to: String) {
    let listener = TcpListener::bind(("127.0.0.1", from)).expect("the port is free still");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&to).expect("the server is there");
            for (mut one, mut other) in
                [(client.try_clone().expect("a handle"), server.try_clone().expect("a handle")), (server, client)]
            {
                thread::spawn(move || {
                    // One side that goes away ends both.
                    _ = io::copy(&mut one, &mut other);
                    _ = other.shutdown(Shutdown::Both);
                });
            }
        }
    });
}

#[test]
fn a_worker_waits_for_a_server_that_is_not_there_yet() {
    let Some(world) = World::on_server() else { return };
    let url = world.server().url();
    let (host, rest) = url.split_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("it names a database");
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a port").port();
    let port = free();
    let start = || {
        let mut command = world.command(&["dev"]);
        let user = url.split_once('@').expect("it names a user").0;
        command.env("DATABASE_URL", format!("{user}@127.0.0.1:{port}/{rest}"));
        world.start(command)
    };
    let (stopped, worker) = (start(), start());
    for one in [&stopped, &worker] {
        eventually("it waits", || one.log().contains("waiting for the database"));
    }
    stopped.signal(Signal::INT);
    assert_eq!(stopped.wait(), 0);
    lead(port, host.to_owned());
    eventually("the worker is ready", || worker.log().contains("ready"));
    assert_eq!(worker.log().matches("waiting for the database").count(), 1, "{}", worker.log());
    let ran = world.run(&["run", "order_fulfillment", "-i", ORDER, "--wait", "-o", "json"]).ended(0);
    assert_eq!(ran.json()["status"], "completed");
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), 0);
}

#[test]
fn a_newer_schema_is_refused_and_nothing_is_written() {
    let Some(world) = World::on_server() else { return };
    world.run(&["db", "migrate"]).ended(0);
    world.server().sql("INSERT INTO tasker.migrations (version, name, checksum) VALUES (99, 'later', '\\x00')");
    world.run(&["task", "list"]).refused(5, "D005", "version 99");
    // What only adds is no obstacle.
    world.server().sql("UPDATE tasker.migrations SET name = 'expand: later' WHERE version = 99");
    world.run(&["task", "list"]).ended(0);
}

#[test]
fn a_server_that_takes_no_writes_is_told() {
    let Some(world) = World::on_server() else { return };
    world.run(&["db", "migrate"]).ended(0);
    let server = world.server();
    let name = server.sql("SELECT current_database()");
    server.sql(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    world.run(&["task", "list"]).ended(0);
    world.run(&["run", "order_fulfillment", "-i", ORDER]).refused(6, "D004", "read-only");
}

#[test]
fn whatever_wakes_a_worker_the_task_is_run() {
    let Some(world) = World::on_server() else { return };
    for mode in ["hybrid", "event_driven_only", "polling_only"] {
        world.write("tasker.toml", format!("wake_up = '{mode}'"));
        let worker = world.dev();
        let task = world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0).out.trim().to_owned();
        world.wait_for_task(&task, "completed");
        worker.signal(Signal::TERM);
        assert_eq!(worker.wait(), 0);
    }
}

#[test]
fn a_worker_that_could_hear_nobody_is_refused_to_go_by_hearing_alone() {
    let world = World::new();
    world.write("tasker.toml", "wake_up = 'event_driven_only'");
    world.run(&["dev"]).refused(5, "D009", "other processes must be heard");
    let Some(world) = World::on_server() else { return };
    world.write("tasker.toml", "wake_up = 'event_driven_only'");
    with_url(&world, &format!("{}?pooler=true", world.server().url()), &["dev"]).refused(
        5,
        "D009",
        "other processes must be heard",
    );
}
