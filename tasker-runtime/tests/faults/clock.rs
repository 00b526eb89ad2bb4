//! Machines whose clocks differ, and jump: between them, the server's clock decides.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::checker::Evidence;
use crate::child::{Place, Worker, until};
use crate::client::Client;
use crate::dice::Dice;
use crate::kill::progress;
use crate::server::{Database, not_run};

/// Long enough that no worker loses it on a busy machine, and short beside what the clocks are wrong by.
const LEASE: Duration = Duration::from_secs(20);
const JUMPS: usize = 8;
/// How far a clock is from the true time, at most.
const SECONDS_MAX: u64 = 48 * 3600;

/// The library that tells a process another time.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut places = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = places.find(|place| place.is_file());
    if found.is_none() {
        not_run("there is no libfaketime; as root, `cargo xtask test` installs it");
    }
    found
}

/// Sets the clock of the worker that reads this file.
fn set(clock: &Path, seconds: i64) {
    // Another name first: it is read at any moment.
    let fresh = clock.with_extension("fresh");
    std::fs::write(&fresh, format!("{seconds:+}")).unwrap();
    std::fs::rename(fresh, clock).unwrap();
}

fn wrong(dice: &mut Dice) -> i64 {
    let far = i64::try_from(dice.below(SECONDS_MAX)).unwrap();
    if dice.percent(50) { far } else { -far }
}

/// How far off the times are that stand in the log, at most, in seconds.
fn farthest(folder: &Path) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let times = log.lines().filter_map(|line| line.split(' ').next()?.parse::<f64>().ok());
    times.map(|time| (time - now).abs()).fold(0.0, f64::max)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_whose_clocks_differ_and_jump_go_by_the_servers() {
    let Some(database) = Database::find().await else { return };
    let Some(library) = library() else { return };
    let mut dice = Dice::cast();
    let directory = tempfile::tempdir().unwrap();
    let place = Place { lease: LEASE, ..Place::server(directory.path(), &database.url()) };
    let client = Client::start(&place, "dag", 24).await;
    let mut workers = Vec::new();
    let clocks: Vec<PathBuf> = (0..3).map(|number| directory.path().join(format!("clock-{number}"))).collect();
    for (clock, hours) in clocks.iter().zip([2, -2, 0]) {
        set(clock, hours * 3600);
        let one = "1".as_ref();
        workers.push(Worker::start_with(
            &place,
            &[
                ("LD_PRELOAD", library.as_os_str()),
                ("FAKETIME_TIMESTAMP_FILE", clock.as_os_str()),
                ("FAKETIME_NO_CACHE", one),
                ("FAKETIME_DONT_FAKE_MONOTONIC", one),
                ("DONT_FAKE_MONOTONIC", one),
            ],
        ));
    }
    until("a worker has a wrong clock", async || farthest(directory.path()) > 3600.0).await;
    for _ in 0..JUMPS {
        progress(&place, dice.ms(0, 300)).await;
        let which = dice.index(clocks.len());
        set(&clocks[which], wrong(&mut dice));
    }
    progress(&place, Duration::from_millis(500)).await;
    let evidence = Evidence::conclude(&place, client, workers).await;
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(!log.contains("the lease of this worker has ended"), "{log}");
    let lost = evidence.dump.attempts.iter().filter(|row| row.outcome == tasker_runtime::core::AttemptOutcome::Lost);
    assert_eq!(lost.count(), 0, "a living worker was taken for dead");
}
