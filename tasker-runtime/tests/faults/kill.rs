//! `kill -9` at any moment: nothing acknowledged is lost, no outcome is recorded twice, every task ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tasker_runtime::core::{AttemptOutcome, Dump, check};
use tasker_runtime::engine::Engine;
use tasker_runtime::store::Store;
use tasker_types::{StepState, TaskId, TaskRequest, TaskState};

use crate::child::{add_templates, engine, spawn};
use crate::journal::{Journal, lines};

/// How often the worker is killed; `TASKER_KILLS` asks for more.
fn kills() -> usize {
    std::env::var("TASKER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

fn request(name: &str) -> TaskRequest {
    TaskRequest { name: name.to_owned(), initiator: "faults".to_owned(), ..TaskRequest::default() }
}

/// A small generator of our own (splitmix64): its seed is printed, so that a failing run can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn open_tasks(engine: &Engine) -> u64 {
    engine.store().counts().await.unwrap().open_tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_again_and_again_loses_nothing() {
    let seed = std::env::var("TASKER_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("TASKER_SEED={seed}");
    let mut dice = Dice(seed);
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    // A second process, as far as the file is concerned: it submits while the worker runs and dies.
    let (client, store) = engine(place, 1).await;
    add_templates(&client).await;
    let journal = place.join("journal");
    let mut submitted: Vec<TaskId> = Vec::new();
    for _ in 0..kills() {
        let mut worker = spawn(place);
        while open_tasks(&client).await < 10 {
            submitted.push(client.submit(request("dag")).await.unwrap());
        }
        let before = lines(&journal);
        let progress = usize::try_from(dice.below(60)).unwrap();
        until("the worker makes progress", async || {
            lines(&journal) > before + progress || open_tasks(&client).await == 0
        })
        .await;
        std::thread::sleep(Duration::from_micros(dice.below(5_000)));
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    let mut worker = spawn(place);
    until("every task is over", async || open_tasks(&client).await == 0).await;
    worker.kill().unwrap();
    worker.wait().unwrap();

    let dump = store.dump(None, u32::MAX).await.unwrap();
    assert_eq!(check(&dump), []);
    compare(&dump, &submitted, &Journal::read(&journal));
    println!("{} kills, {} tasks, {} attempts lost", kills(), submitted.len(), lost(&dump));
    client.stop().await;
}

fn lost(dump: &Dump) -> usize {
    dump.attempts.iter().filter(|row| row.outcome == AttemptOutcome::Lost).count()
}

/// The database, the handlers' own journal and what the client was told say the same.
fn compare(dump: &Dump, submitted: &[TaskId], journal: &Journal) {
    let stored: Vec<TaskId> = dump.tasks.iter().map(|row| row.id).collect();
    assert!(submitted.iter().all(|id| stored.contains(id)), "an acknowledged task is missing");
    for row in &dump.tasks {
        assert_eq!(row.state, TaskState::Completed, "task {}", row.id);
    }
    let mut recorded: BTreeMap<(String, String), Vec<u32>> = BTreeMap::new();
    let name = |task: TaskId, number| {
        let row = dump.tasks.iter().find(|row| row.id == task).unwrap();
        (task.to_string(), row.pinned.step(number).name.to_string())
    };
    for row in &dump.attempts {
        assert_eq!(row.outcome, AttemptOutcome::Lost, "an attempt ended otherwise: {row:?}");
        recorded.entry(name(row.task, row.number)).or_default().push(row.attempt);
    }
    for row in &dump.results {
        assert_eq!(row.outcome, StepState::Completed);
        let at = name(row.task, row.number);
        let ended = journal.ended.get(&at).cloned().unwrap_or_default();
        assert!(
            ended.contains(&row.attempt),
            "{at:?}: attempt {} is recorded, the handler ended {ended:?}",
            row.attempt
        );
        recorded.entry(at).or_default().push(row.attempt);
    }
    assert_eq!(dump.results.len(), dump.tasks.len() * 12);
    for (at, began) in &journal.began {
        let mut once = began.clone();
        once.dedup();
        assert_eq!(*began, once, "{at:?}: an attempt ran twice");
        let recorded = &recorded[at];
        assert!(began.iter().all(|attempt| recorded.contains(attempt)), "{at:?}: ran {began:?}, recorded {recorded:?}");
        // Every attempt number was used, and the last one is the result's.
        assert_eq!(*recorded, (1..=u32::try_from(recorded.len()).unwrap()).collect::<Vec<_>>(), "{at:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_kills_its_process_is_found_out_alone() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let (client, store) = engine(place, 1).await;
    add_templates(&client).await;
    let killer = client.submit(request("killer")).await.unwrap();
    for _ in 0..50 {
        client.submit(request("innocent")).await.unwrap();
    }
    let mut worker = spawn(place);
    until("every task is over", async || {
        if worker.try_wait().unwrap().is_some() {
            worker = spawn(place);
        }
        open_tasks(&client).await == 0
    })
    .await;
    worker.kill().unwrap();
    worker.wait().unwrap();
    let dump = store.dump(None, u32::MAX).await.unwrap();
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
async fn what_another_process_submits_is_found_and_what_it_cancels_stops() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let (client, _store) = engine(place, 1).await;
    add_templates(&client).await;
    let mut worker = spawn(place);
    let first = client.submit(request("dag")).await.unwrap();
    assert_eq!(client.wait(first).await.unwrap(), TaskState::Completed);
    let second = client.submit(request("dag")).await.unwrap();
    let cancelled = client.cancel(second, "tester", "enough").await;
    let end = client.wait(second).await.unwrap();
    assert_eq!(end == TaskState::Cancelled, cancelled.is_ok(), "{end}, {cancelled:?}");
    worker.kill().unwrap();
    worker.wait().unwrap();
    client.stop().await;
}
