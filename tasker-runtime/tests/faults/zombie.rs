//! Workers that are stopped past their lease and go on: what they bring then is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tasker_runtime::store::sqlite::WorkerLock;

use crate::checker::Evidence;
use crate::child::{LEASE, Place, Worker, until};
use crate::client::{Client, History, request};
use crate::dice::{Dice, times};
use crate::journal::{End, Pen};
use crate::kill::progress;
use crate::server::Database;
use crate::workflow::add_templates;

const WORKERS: usize = 4;
/// Tasks of each kind in one round: all of them together have a slot each.
const OF_EACH_KIND: usize = 5;
const KINDS: [&str; 3] = ["success", "retry", "failure"];
/// How often a process that goes on may find that its lease has ended before its handlers have returned.
const ROUNDS_MAX: usize = 30;

/// How often each kind of outcome was refused.
fn refused(evidence: &Evidence) -> BTreeMap<&'static str, usize> {
    let mut found = BTreeMap::new();
    for end in evidence.refused() {
        let kind = match end {
            End::Success(_) => "success",
            End::Retry => "retry",
            End::Failure => "failure",
        };
        *found.entry(kind).or_default() += 1;
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stopped_worker_brings_too_late_is_refused_whatever_it_is() {
    let Some(database) = Database::find().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &database.url());
    let (client, pen, mut history) = (place.engine(1).await, Pen::of(directory.path()), History::default());
    add_templates(&client).await;
    for round in 1.. {
        let go = format!("go-{round}");
        let zombie = Worker::start(&place);
        for kind in KINDS {
            for number in 0..OF_EACH_KIND {
                let name = format!("{kind}-{round}-{number}");
                let task = client.submit(request("late", &name, json!({ "kind": kind, "go": go }))).await.unwrap();
                history.accepted.push((name, task));
            }
        }
        let count = |of: u32| pen.read().began.values().flatten().filter(|(attempt, _)| *attempt == of).count();
        until("every handler runs", async || count(1) == history.accepted.len()).await;
        zombie.stop();
        let other = Worker::start(&place);
        until("another worker has taken them over", async || client.store().counts().await.unwrap().open_tasks == 0)
            .await;
        std::fs::write(directory.path().join(&go), "").unwrap();
        zombie.go_on();
        let went_on = format!(" {} ", zombie.id());
        until("it has found that its lease has ended", async || {
            let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
            log.lines().any(|line| line.contains(&went_on) && line.contains("worker started again"))
        })
        .await;
        drop((zombie, other));
        let evidence = Evidence::gather(&**client.store(), &pen, history.clone()).await;
        println!("{evidence}");
        assert_eq!(evidence.check(), []);
        let found = refused(&evidence);
        if KINDS.iter().all(|kind| found.contains_key(kind)) {
            break;
        }
        assert!(round < ROUNDS_MAX, "hardly anything came too late: {found:?}");
    }
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_stopped_past_their_leases_again_and_again_record_nothing_twice() {
    let Some(database) = Database::find().await else { return };
    let (mut dice, zombies) = (Dice::cast(), times("TASKER_ZOMBIES", 6));
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &database.url());
    let client = Client::start(&place, "dag", 40).await;
    let workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(&place)).collect();
    let said =
        |words: &str| std::fs::read_to_string(directory.path().join("log")).unwrap_or_default().matches(words).count();
    until("every worker has a lease", async || said("worker started worker=") == WORKERS).await;
    let mut stopped = 0;
    while stopped < zombies {
        // Two of them at once, so that it is done sooner; the others have to go on.
        let first = dice.index(WORKERS);
        let two = [first, (first + 1) % WORKERS];
        for which in two {
            progress(&place, dice.ms(0, 100)).await;
            workers[which].stop();
        }
        tokio::time::sleep(LEASE + dice.ms(300, 900)).await;
        for which in two {
            workers[which].go_on();
        }
        stopped += two.len();
        until("they have begun anew", async || said("worker started again") >= stopped).await;
    }
    let evidence = Evidence::conclude(&place, client, workers).await;
    let refused = evidence.refused().len();
    println!("{stopped} workers stopped past their lease, each of which ended; {refused} outcomes refused");
    assert!(refused > 0, "nothing came too late: {evidence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_keeps_its_file_and_goes_on() {
    let mut dice = Dice::cast();
    let directory = tempfile::tempdir().unwrap();
    let place = Place::file(directory.path());
    let client = Client::start(&place, "dag", 10).await;
    let worker = Worker::start(&place);
    for _ in 0..times("TASKER_ZOMBIES", 2).min(20) {
        progress(&place, dice.ms(0, 100)).await;
        worker.stop();
        tokio::time::sleep(Duration::from_secs(1) + dice.ms(0, 500)).await;
        let taken = WorkerLock::try_take(&directory.path().join("tasker.db")).unwrap();
        assert!(taken.is_none(), "somebody else could run a worker on the file");
        worker.go_on();
    }
    let evidence = Evidence::conclude(&place, client, vec![worker]).await;
    assert!(evidence.dump.attempts.iter().all(|row| row.claimed_at.is_some()), "{evidence}");
}
