//! Events while workers die: each that was stored reaches its subscriber, those of a task in their order, and no other does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tasker_runtime::engine::{Clock, WakeUp};
use tasker_runtime::event::{EventRegistry, Subscriber};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::{EventView, Store};
use tasker_types::{StepEvent, TaskId, TaskState};

use crate::checker::Evidence;
use crate::child::{Place, Worker, until};
use crate::client::{Client, request};
use crate::dice::{Dice, times};
use crate::kill::progress;
use crate::server::Database;

/// The variable that tells a worker process to take events.
pub(crate) const SUBSCRIBES: &str = "TASKER_FAULTS_SUBSCRIBES";
const WORKERS: usize = 3;
/// How long the subscriber takes for an event.
const AT_WORK: Duration = Duration::from_millis(3);
/// Well under the time after which a worker that goes by hints looks by itself, which is half a minute.
const SOON: Duration = Duration::from_secs(10);

/// What the subscriber was given: a file outside the database, written by single appends that survive `kill -9`.
#[derive(Clone)]
struct Told(PathBuf);

impl Told {
    fn of(place: &Path) -> Self {
        Self(place.join("told"))
    }

    fn write(&self, event: &StepEvent) -> std::io::Result<()> {
        let StepEvent { name, position, attempt, context, .. } = event;
        let line = format!("{} {} {attempt} {name}\n", context.task_uuid, position.unwrap_or_default());
        OpenOptions::new().create(true).append(true).open(&self.0)?.write_all(line.as_bytes())
    }

    /// Task, position, attempt and name of each event, in the order in which they were given.
    fn read(&self) -> Vec<(TaskId, i64, u32, String)> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let line = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [task, position, attempt, name] = words[..] else { panic!("a torn line: {line:?}") };
            (task.parse().unwrap(), position.parse().unwrap(), attempt.parse().unwrap(), name.to_owned())
        };
        text.lines().map(line).collect()
    }
}

/// One subscriber to all events of steps, which writes them down.
pub(crate) fn subscribers(place: &Path) -> EventRegistry {
    let (told, mut registry) = (Told::of(place), EventRegistry::default());
    let write = move |event: StepEvent| {
        let told = told.clone();
        async move {
            told.write(&event)?;
            // So long it is given and not yet known to be: workers die then, too.
            tokio::time::sleep(AT_WORK).await;
            std::io::Result::Ok(())
        }
    };
    registry.add_subscriber(Subscriber::new("journal", "step.*", write));
    registry
}

fn start(place: &Place) -> Worker {
    Worker::start_with(place, &[(SUBSCRIBES, OsStr::new("1"))])
}

async fn undelivered(store: &dyn Store) -> u64 {
    store.subscribers().await.unwrap().iter().map(|subscriber| subscriber.undelivered).sum()
}

/// The process that gives the subscriber its events, or did so last.
async fn holder(store: &dyn Store, place: &Place) -> Option<String> {
    let now = place.url.is_none().then(|| Clock::System.now());
    let held_by = store.subscribers().await.unwrap().first()?.held_by?;
    store.workers(now).await.unwrap().into_iter().find(|worker| worker.id == held_by).map(|worker| worker.label)
}

/// Kills workers again and again while steps publish events, and compares what was stored with what was given.
async fn kill_and_compare(place: &Place, workers: usize, open_max: usize) {
    let (mut dice, kills) = (Dice::cast(), times("TASKER_KILLS", 12));
    let store = place.store().await;
    let mut workers: Vec<Worker> = (0..workers).map(|_| start(place)).collect();
    // What is stored before somebody subscribes is due to nobody.
    until("somebody subscribes", async || !store.subscribers().await.unwrap().is_empty()).await;
    let client = Client::start(place, "telling", open_max).await;
    for _ in 0..kills {
        progress(place, dice.ms(20, 200)).await;
        // Half of them are the one that gives the subscriber its events.
        let holder = if dice.percent(50) { holder(&*store, place).await } else { None };
        let held = workers.iter().position(|worker| Some(worker.id().to_string()) == holder);
        let which = held.unwrap_or_else(|| dice.index(workers.len()));
        workers[which].kill();
        workers[which] = start(place);
    }
    let evidence = Evidence::conclude(place, client, workers).await;
    let last = start(place);
    until("every event was given", async || undelivered(&*store).await == 0).await;
    drop(last);

    let told = Told::of(&place.folder).read();
    let mut stored: BTreeMap<TaskId, Vec<EventView>> = BTreeMap::new();
    for row in &evidence.dump.tasks {
        stored.insert(row.id, store.events_of(row.id, None, u32::MAX).await.unwrap());
    }
    let known: BTreeSet<(TaskId, i64, u32, String)> = stored
        .iter()
        .flat_map(|(&task, events)| {
            events.iter().map(move |event| (task, event.position, event.row.attempt, event.row.name.to_string()))
        })
        .collect();
    let given: BTreeSet<_> = told.iter().cloned().collect();
    println!("{kills} kills; {} events stored, given {} times", known.len(), told.len());
    assert!(known.len() > 100, "hardly any event was stored: {}", known.len());
    assert_eq!(known.difference(&given).collect::<Vec<_>>(), Vec::<&_>::new(), "stored, and not given");
    assert_eq!(given.difference(&known).collect::<Vec<_>>(), Vec::<&_>::new(), "given, and not stored");
    let completed: BTreeSet<_> = evidence.dump.results.iter().map(|row| (row.task, row.number, row.attempt)).collect();
    for (task, events) in &stored {
        let done = events.iter().filter(|event| &*event.row.name == "step.done");
        let done: BTreeSet<_> = done.map(|event| (*task, event.row.number.unwrap(), event.row.attempt)).collect();
        let steps: BTreeSet<_> = completed.iter().filter(|(of, ..)| of == task).copied().collect();
        assert_eq!(done, steps, "task {task}: what is said to be done, and what is");
        let mut seen = BTreeSet::new();
        let first: Vec<i64> = told
            .iter()
            .filter(|(of, position, ..)| of == task && seen.insert(*position))
            .map(|(_, position, ..)| *position)
            .collect();
        assert!(first.is_sorted(), "task {task}: its events came in the order {first:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_their_subscriber_through_kills() {
    let directory = tempfile::tempdir().unwrap();
    kill_and_compare(&Place::file(directory.path()), 1, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_their_subscriber_through_kills_of_one_worker_after_the_other() {
    let Some(database) = Database::find().await else { return };
    let directory = tempfile::tempdir().unwrap();
    kill_and_compare(&Place::server(directory.path(), &database.url()), WORKERS, 24).await;
}

/// How long the events of a task take from the worker that stored them to a subscriber in another process: the longest of a few.
async fn latency(place: &Place, listening: &Place, wake_up: WakeUp) -> Duration {
    let worker = Worker::start(place);
    let client = place.engine(1).await;
    crate::workflow::add_templates(&client).await;
    let handlers = RustStepHandlerRegistry::empty();
    let subscriber = listening.engine_with(1, handlers, subscribers(&place.folder), wake_up).await;
    subscriber.start_worker().await.unwrap();
    let holder = async || client.store().subscribers().await.unwrap()[0].held_by;
    until("the subscriber is held", async || holder().await.is_some()).await;
    let mut longest = Duration::ZERO;
    for round in 0..3 {
        let task = client.submit(request("telling", &format!("round-{round}"), json!({}))).await.unwrap();
        assert_eq!(client.wait(task).await.unwrap(), TaskState::Completed);
        let over = Instant::now();
        until("its events were given", async || undelivered(&**client.store()).await == 0).await;
        longest = longest.max(over.elapsed());
    }
    assert!(Told::of(&place.folder).read().len() >= 12);
    drop(worker);
    subscriber.stop().await;
    client.stop().await;
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_brings_the_events_of_one_process_to_the_subscriber_of_another() {
    let Some(database) = Database::find().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &database.url());
    let longest = latency(&place, &place, WakeUp::EventDrivenOnly).await;
    println!("by hints: {longest:?} at most");
    assert!(longest < SOON, "only a look found them: {longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_hints_events_are_found_by_looking_and_only_later() {
    let Some(database) = Database::find().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &database.url());
    // Behind a pooler nobody can listen: every hint is lost.
    let deaf = Place::server(directory.path(), &format!("{}?pooler=true", database.url()));
    let longest = latency(&place, &deaf, WakeUp::Hybrid).await;
    println!("by looking: {longest:?} at most");
}
