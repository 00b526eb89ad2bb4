//! What moves and what is coloured, in a real terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::world::{ORDER, World};

/// Runs a command whose standard streams are a terminal, and gives all that it wrote there.
fn in_terminal(command: std::process::Command) -> (i32, String) {
    typed_in_terminal(command, "")
}

/// The same, with something typed.
fn typed_in_terminal(mut command: std::process::Command, typed: &str) -> (i32, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&master).expect("it is ours");
    unlockpt(&master).expect("it is ours");
    tcsetwinsize(&master, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).expect("it has a size");
    let name = ptsname(&master, Vec::new()).expect("it has a name");
    let slave = || -> Stdio {
        let name = name.to_str().expect("it is text");
        OwnedFd::from(File::options().read(true).write(true).open(name).expect("it opens")).into()
    };
    command.stdin(slave()).stdout(slave()).stderr(slave()).env("TERM", "xterm-256color");
    let mut child = command.spawn().expect("the program starts");
    drop(command);
    let mut written = Vec::new();
    let mut master = File::from(master);
    master.write_all(typed.as_bytes()).expect("it takes what is typed");
    let mut buffer = [0; 4096];
    // Reading fails when the last program has closed the terminal.
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        written.extend_from_slice(&buffer[..read]);
    }
    let code = child.wait().expect("it ends").code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&written).into_owned())
}

const PACED: &str = r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "pace_ms": 300, "payment": { "timeouts": 1 } }"#;

#[test]
fn a_run_in_a_terminal_moves_and_ends_with_its_result() {
    let world = World::new();
    let (code, screen) = in_terminal(world.command(&["run", "order_fulfillment", "-i", PACED, "--wait"]));
    assert_eq!(code, 0, "{screen}");
    // A spinner beside the step that runs, which is cleared when the step is over.
    assert!(screen.contains("\u{1b}[2K") && screen.contains('⠁'), "{screen:?}");
    assert!(screen.contains("\u{1b}[32m✔\u{1b}[0m ship_order"), "{screen:?}");
    let end = screen.rfind("completed").expect("it says so");
    assert!(screen[end..].contains("\"shipping_status\": \"shipped\""), "{screen:?}");
}

#[test]
fn a_batch_in_a_terminal_tells_how_many_of_its_workers_are_over() {
    let world = World::new();
    let input = r#"{ "path": "products.csv", "rows": 1000, "batch_size": 200, "pace_ms": 800 }"#;
    let (code, screen) = in_terminal(world.batches_command(&["run", "csv_batch", "-i", input, "--wait"]));
    assert_eq!(code, 0, "{screen}");
    for count in ["0/5", "3/5"] {
        assert!(screen.contains(&format!("process_batch      {count}")), "{screen:?}");
    }
    let end = screen.rfind("✔ completed").expect("it says so");
    assert!(!screen[end..].contains("/5"), "what moved is gone: {screen:?}");
}

#[test]
fn colour_can_be_left_out() {
    let world = World::new();
    world.order(ORDER);
    let (_, coloured) = in_terminal(world.command(&["task", "list"]));
    assert!(coloured.contains("\u{1b}[32m"), "{coloured:?}");
    let (_, plain) = in_terminal(world.command(&["task", "list", "--no-color"]));
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let mut command = world.command(&["task", "list"]);
    command.env("NO_COLOR", "1");
    assert!(!in_terminal(command).1.contains('\u{1b}'));
}

#[test]
fn cancelling_asks_in_a_terminal_and_not_with_yes() {
    let world = World::new();
    let cancel = |more: &[&str], typed: &str| {
        world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0);
        let mut arguments = vec!["task", "cancel", "@last"];
        arguments.extend(more);
        let (code, screen) = typed_in_terminal(world.command(&arguments), typed);
        assert_eq!(code, 0, "{screen}");
        (screen.contains("[y/N]"), world.show("@last")["status"].as_str().map(str::to_owned))
    };
    assert_eq!(cancel(&[], "n\n"), (true, Some("pending".to_owned())));
    assert_eq!(cancel(&[], "\n"), (true, Some("pending".to_owned())));
    assert_eq!(cancel(&[], "y\n"), (true, Some("cancelled".to_owned())));
    assert_eq!(cancel(&["--yes"], ""), (false, Some("cancelled".to_owned())));
}

#[test]
fn many_tasks_are_confirmed_with_their_number_in_a_terminal() {
    let world = World::new();
    for _ in 0..2 {
        world.run(&["run", "order_fulfillment", "-i", ORDER]).ended(0);
    }
    let pause = |more: &[&str], typed: &str| {
        let mut arguments = vec!["task", "pause", "--all"];
        arguments.extend(more);
        let (code, screen) = typed_in_terminal(world.command(&arguments), typed);
        let paused = world.run(&["task", "list", "-s", "paused", "-o", "id"]).ended(0).out.lines().count();
        (code, screen.contains("pause 2 tasks?"), paused)
    };
    assert_eq!(pause(&[], "n\n"), (0, true, 0));
    assert_eq!(pause(&["--dry-run"], ""), (0, false, 0));
    assert_eq!(pause(&[], "y\n"), (0, true, 2));
    assert_eq!(pause(&["--yes"], ""), (0, false, 2), "there is none left");
}

#[test]
fn to_forget_a_subscriber_is_confirmed_in_a_terminal() {
    let world = World::new();
    world.listener(&["run", "note", "--wait"]).ended(0);
    let forget = |typed: &str| {
        let (code, screen) = typed_in_terminal(world.listener_command(&["event", "forget", "mailer"]), typed);
        let left = world.listener(&["event", "subscribers", "-o", "id"]).ended(0).out;
        (code, screen.contains("forget `mailer`, and drop "), left)
    };
    assert_eq!(forget("n\n"), (0, true, "mailer\n".to_owned()));
    assert_eq!(forget("y\n"), (0, true, String::new()));
}

#[test]
fn what_is_closed_by_hand_is_confirmed_in_a_terminal() {
    let world = World::new();
    let task = world.order(crate::world::STOLEN);
    for arguments in [&["task", "resolve", &task][..], &["step", "skip", &task, "process_payment"]] {
        let (code, screen) = typed_in_terminal(world.command(arguments), "");
        assert!(code == 2 && screen.contains("needs a reason") && !screen.contains("[y/N]"), "{screen}");
        let arguments = [arguments, &["--reason", "x"]].concat();
        let (code, screen) = typed_in_terminal(world.command(&arguments), "n\n");
        assert!(code == 0 && screen.contains("[y/N]") && screen.contains("nothing was done"), "{screen}");
    }
    assert_eq!(world.show(&task)["status"], "failed");
    let (code, screen) = typed_in_terminal(world.command(&["task", "resolve", &task, "--reason", "x"]), "y\n");
    assert!(code == 0 && screen.contains("is resolved by hand"), "{screen}");
}
