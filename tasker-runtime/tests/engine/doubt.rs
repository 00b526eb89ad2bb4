//! A commit of unknown outcome is settled by reading, a call that fails is made again: nothing is lost, nothing happens
//! twice, nothing is stuck.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tasker_runtime::core::{Batch, Command, SubscriberId, check};
use tasker_runtime::engine::{Engine, Error, Options};
use tasker_runtime::event::{EventRegistry, Subscriber};
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_runtime::store::{Around, Committed, Counts, MemoryStore, Queue, Store, StoreError, Subscription};
use tasker_types::{
    StepError, StepEvent, StepExecutionResult, TaskRequest, TaskSequenceStep, TaskState, Timestamp, template,
};

use crate::{engine_on, engine_with_events};

/// A store in memory whose connection is lost during one COMMIT.
#[derive(Default)]
struct Lossy {
    store: MemoryStore,
    calls: AtomicUsize,
    /// Which transaction it is, and whether it was written.
    lost: Mutex<Option<(usize, bool)>>,
    /// How long a transaction takes.
    slow: Duration,
    /// Calls that fail once each.
    fail: Mutex<Vec<&'static str>>,
}

impl Lossy {
    fn try_call(&self, name: &str) -> Result<(), StoreError> {
        let mut fail = self.fail.lock().unwrap();
        match fail.iter().position(|failing| *failing == name) {
            Some(at) => Err(StoreError::Unavailable(format!("{} fails", fail.remove(at)))),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Around for Lossy {
    fn store(&self) -> &MemoryStore {
        &self.store
    }

    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if !self.slow.is_zero() {
            tokio::time::sleep(self.slow).await;
        }
        let lost = self.lost.lock().unwrap().take_if(|(at, _)| *at == call);
        match lost {
            None => {
                self.try_call("transact")?;
                self.store.transact(batch).await
            }
            Some((_, written)) => {
                if written {
                    self.store.transact(batch).await?;
                }
                Err(StoreError::Unknown("the connection was cut".into()))
            }
        }
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.try_call("queues")?;
        self.store.queues().await
    }

    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError> {
        self.try_call(&format!("subscribe {}", subscription.name))?;
        self.store.subscribe(subscription, now).await
    }
}

/// Takes as long and fails as often as its task says.
struct Quick;

#[async_trait]
impl RustStepHandler for Quick {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "quick"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let uuid = step.workflow_step.workflow_step_uuid;
        tokio::time::sleep(Duration::from_millis(step.get_input_or("millis", 0))).await;
        if step.workflow_step.attempt <= step.get_input_or("failures", 0) {
            return Ok(StepError::retryable("not yet").into_result(uuid));
        }
        Ok(StepExecutionResult::success(uuid, json!(1), None))
    }
}

async fn engine(store: &Arc<impl Store + 'static>) -> Engine {
    engine_with(store, Options::default()).await
}

async fn engine_with(store: &Arc<impl Store + 'static>, options: Options) -> Engine {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("quick", || Box::new(Quick));
    let engine = engine_on(store.clone(), registry, options);
    let yaml = "name: t\nsteps: [{ name: a, handler: quick }, { name: b, handler: quick, dependencies: [a] }, { name: c, handler: quick, dependencies: [b] }]";
    engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
    let yaml = "name: hasty\nsteps: [{ name: a, handler: quick, timeout_seconds: 0.3, retry: { retryable: false } }]";
    engine.add_template(template::parse("hasty.yaml", yaml).unwrap().template).await.unwrap();
    engine.start_worker().await.unwrap();
    engine
}

fn request() -> TaskRequest {
    TaskRequest { name: "t".into(), ..TaskRequest::default() }
}

#[tokio::test]
async fn a_chain_completes_whichever_commit_is_in_doubt() {
    for lost in 0..4 {
        for written in [true, false] {
            let store = Arc::new(Lossy { lost: Mutex::new(Some((lost, written))), ..Lossy::default() });
            let engine = engine(&store).await;
            let submitted = engine.submit(request()).await;
            let task = match (lost, written, submitted) {
                (0, false, Err(Error::Store(StoreError::Unavailable(_)))) => {
                    assert_eq!(store.counts().await.unwrap(), Counts::default(), "nothing was stored");
                    engine.submit(request()).await.unwrap()
                }
                (_, _, submitted) => submitted.unwrap(),
            };
            let state = tokio::time::timeout(Duration::from_secs(30), engine.wait(task)).await;
            assert_eq!(state.unwrap().unwrap(), TaskState::Completed, "commit {lost}, written: {written}");
            assert!(store.lost.lock().unwrap().is_none(), "commit {lost} was lost");
            let dump = store.dump(None, 10).await.unwrap();
            assert_eq!(check(&dump), [], "commit {lost}, written: {written}");
            assert_eq!(dump.results.len(), 3);
            engine.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn queues_that_cannot_be_read_at_the_start_are_read_later() {
    let fail = Mutex::new(vec!["queues"; 2]);
    let engine = engine(&Arc::new(Lossy { fail, ..Lossy::default() })).await;
    let ended = tokio::time::timeout(Duration::from_secs(30), engine.run(request())).await;
    assert_eq!(ended.unwrap().unwrap().1, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_failed_between_two_subscribers_starts_both_the_next_time() {
    let store = Arc::new(Lossy { fail: Mutex::new(vec!["subscribe two"]), ..Lossy::default() });
    let mut events = EventRegistry::default();
    for name in ["one", "two"] {
        events.add_subscriber(Subscriber::new(name, "*", |_: StepEvent| async {}));
    }
    let options = Options { lease: Some(Duration::from_secs(30)), ..Options::default() };
    let engine = engine_with_events(store.clone(), RustStepHandlerRegistry::empty(), events, options);
    assert!(engine.start_worker().await.is_err());
    engine.start_worker().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let held = store.subscribers().await.unwrap().into_iter().map(|one| (one.name, one.held_by.is_some()));
    assert_eq!(held.collect::<Vec<_>>(), [("one".to_owned(), true), ("two".to_owned(), true)]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_action_in_doubt_is_told_as_what_became_of_it() {
    let store = Arc::new(Lossy::default());
    let engine = engine(&store).await;
    let task = engine.submit(TaskRequest { context: json!({ "millis": 600_000 }), ..request() }).await.unwrap();
    *store.lost.lock().unwrap() = Some((store.calls.load(Ordering::SeqCst), true));
    store.fail.lock().unwrap().push("transact");
    let told = engine.cancel(task, "ada", "a typo").await;
    assert!(told.is_ok_and(|told| told.task == task));
    assert!(store.fail.lock().unwrap().is_empty(), "the second try failed");
    let ended = tokio::time::timeout(Duration::from_secs(30), engine.wait(task)).await;
    assert_eq!(ended.unwrap().unwrap(), TaskState::Cancelled, "its handler was told to stop");
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_which_no_answer_told_comes_all_the_same() {
    let store = Arc::new(Lossy { lost: Mutex::new(Some((1, true))), ..Lossy::default() });
    let engine = engine(&store).await;
    let request = TaskRequest { context: json!({ "failures": 1 }), ..request() };
    let ended = tokio::time::timeout(Duration::from_secs(30), engine.run(request)).await;
    assert_eq!(ended.unwrap().unwrap().1, TaskState::Completed);
}

/// A store that needs too long for more than two outcomes at once.
#[derive(Default)]
struct Small(MemoryStore);

#[async_trait]
impl Around for Small {
    fn store(&self) -> &MemoryStore {
        &self.0
    }

    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        let outcomes = batch.commands.iter().filter(|command| matches!(command, Command::Finish(_))).count();
        if outcomes > 2 {
            return Err(StoreError::Unavailable("canceling statement due to statement timeout".into()));
        }
        self.0.transact(batch).await
    }
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_are_too_many_for_the_store_are_offered_in_smaller_batches() {
    let store = Arc::new(Small::default());
    let engine = engine(&store).await;
    let mut tasks = Vec::new();
    for _ in 0..64 {
        let request = TaskRequest { context: json!({ "millis": 1_000 }), ..request() };
        tasks.push(engine.submit(request).await.unwrap());
    }
    for task in tasks {
        let ended = tokio::time::timeout(Duration::from_secs(300), engine.wait(task)).await;
        assert_eq!(ended.expect("its outcome is never recorded").unwrap(), TaskState::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_submit_in_doubt_is_answered_under_load() {
    let store =
        Arc::new(Lossy { lost: Mutex::new(Some((0, true))), slow: Duration::from_millis(5), ..Lossy::default() });
    let engine = engine(&store).await;
    let load = tokio::spawn({
        let engine = engine.clone();
        async move {
            loop {
                let one = engine.clone();
                tokio::spawn(async move { one.submit(request()).await });
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let told = tokio::time::timeout(Duration::from_secs(1), engine.submit(request())).await;
    load.abort();
    assert!(told.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_waits_for_a_slow_store_is_not_a_timeout() {
    let store = Arc::new(Lossy { slow: Duration::from_secs(3), ..Lossy::default() });
    let engine = engine(&store).await;
    let hasty = TaskRequest { name: "hasty".into(), context: json!({ "millis": 100 }), ..TaskRequest::default() };
    let task = engine.submit(hasty).await.unwrap();
    // While its handler runs, something else is on its way to the store.
    engine.submit(request()).await.unwrap();
    assert_eq!(engine.wait(task).await.unwrap(), TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_slow_is_not_given_back() {
    let store = Arc::new(Lossy { slow: Duration::from_secs(1), ..Lossy::default() });
    // Several beats come while one commit is on its way.
    let engine = engine_with(&store, Options { lease: Some(Duration::from_millis(400)), ..Options::default() }).await;
    engine.run(request()).await.unwrap();
    let dump = store.dump(None, 10).await.unwrap();
    assert_eq!(dump.attempts, [], "no attempt was given back");
    assert!(dump.results.iter().all(|row| row.attempt == 1));
}
