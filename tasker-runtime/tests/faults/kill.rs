//! `kill -9` at any moment: nothing acknowledged is lost, no outcome is recorded twice, every task ends.

use std::time::Duration;

use serde_json::json;
use tasker_runtime::core::{AttemptOutcome, check};
use tasker_types::TaskState;

use crate::checker::Evidence;
use crate::child::{Place, Worker, until};
use crate::client::{Client, request};
use crate::dice::{Dice, times};
use crate::journal::Pen;
use crate::server::Database;
use crate::workflow::add_templates;

/// How many workers the supervisor of a server keeps running.
const WORKERS: usize = 4;
const KILLS: &str = "TASKER_KILLS";

fn lost(evidence: &Evidence) -> usize {
    evidence.dump.attempts.iter().filter(|row| row.outcome == AttemptOutcome::Lost).count()
}

/// Waits until handlers run, and then a moment.
pub(crate) async fn progress(place: &Place, moment: Duration) {
    let pen = Pen::of(&place.folder);
    let before = pen.length();
    until("handlers run", async || pen.length() > before).await;
    tokio::time::sleep(moment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_again_and_again_loses_nothing() {
    let (mut dice, kills) = (Dice::cast(), times(KILLS, 40));
    let directory = tempfile::tempdir().unwrap();
    let place = Place::file(directory.path());
    // A second process, as far as the file is concerned: it submits while the worker runs and dies.
    let client = Client::start(&place, "dag", 10).await;
    for _ in 0..kills {
        let mut worker = Worker::start(&place);
        progress(&place, dice.ms(0, 250)).await;
        worker.kill();
    }
    let evidence = Evidence::conclude(&place, client, vec![Worker::start(&place)]).await;
    println!("{kills} kills of the worker");
    assert!(lost(&evidence) > kills / 4, "hardly anything ran when it was killed: {evidence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_killed_again_and_again_lose_nothing() {
    let Some(database) = Database::find().await else { return };
    let (mut dice, kills) = (Dice::cast(), times(KILLS, 40));
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &database.url());
    let client = Client::start(&place, "dag", 24).await;
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(&place)).collect();
    for _ in 0..kills {
        progress(&place, dice.ms(50, 300)).await;
        let which = dice.index(workers.len());
        workers[which].kill();
        workers[which] = Worker::start(&place);
    }
    let evidence = Evidence::conclude(&place, client, workers).await;
    println!("{kills} kills of workers");
    assert!(lost(&evidence) > kills / 4, "hardly anything ran when they were killed: {evidence}");
}

/// Starts a worker again whenever it is gone, until every task is over.
async fn a_killer_is_found_out(place: &Place) {
    let client = place.engine(1).await;
    add_templates(&client).await;
    let killer = client.submit(request("killer", "killer", json!({}))).await.unwrap();
    for number in 0..50 {
        client.submit(request("innocent", &format!("innocent-{number}"), json!({}))).await.unwrap();
    }
    let mut worker = Worker::start(place);
    until("every task is over", async || {
        if worker.is_gone() {
            worker = Worker::start(place);
        }
        client.store().counts().await.unwrap().open_tasks == 0
    })
    .await;
    drop(worker);
    let dump = client.store().dump(None, u32::MAX).await.unwrap();
    assert_eq!(check(&dump), []);
    for row in &dump.tasks {
        let wanted = if row.id == killer { TaskState::Failed } else { TaskState::Completed };
        assert_eq!(row.state, wanted, "task {} of {}", row.id, row.pinned.template.name);
    }
    let failed = dump.results.iter().find(|row| row.task == killer).unwrap();
    assert_eq!(failed.attempt, 3);
    assert!(failed.detail.as_deref().unwrap().contains("worker_lost"));
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_kills_its_process_is_found_out_alone() {
    let directory = tempfile::tempdir().unwrap();
    a_killer_is_found_out(&Place::file(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_kills_its_process_is_found_out_on_a_server_too() {
    let Some(database) = Database::find().await else { return };
    let directory = tempfile::tempdir().unwrap();
    a_killer_is_found_out(&Place::server(directory.path(), &database.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_submits_is_found_and_what_it_cancels_stops() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::file(directory.path());
    let client = place.engine(1).await;
    add_templates(&client).await;
    let worker = Worker::start(&place);
    let first = client.submit(request("dag", "first", json!({}))).await.unwrap();
    assert_eq!(client.wait(first).await.unwrap(), TaskState::Completed);
    let second = client.submit(request("dag", "second", json!({}))).await.unwrap();
    let cancelled = client.cancel(second, "tester", "enough").await;
    let end = client.wait(second).await.unwrap();
    assert_eq!(end == TaskState::Cancelled, cancelled.is_ok(), "{end}, {cancelled:?}");
    drop(worker);
    client.stop().await;
}
