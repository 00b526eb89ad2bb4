//! Several processes on one database: who dies is replaced, who was away for too long begins anew, nothing runs twice.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tasker_runtime::core::{AttemptOutcome, check};
use tasker_runtime::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts};
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_runtime::store::{MemoryStore, Store};
use tasker_types::{
    StepExecutionResult, StepState, TaskId, TaskRequest, TaskSequenceStep, TaskState, Timestamp, template,
};
use tokio::runtime::Runtime;

const LEASE: Duration = Duration::from_secs(30);
const BEGINNING: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

/// Takes as many seconds as its task says, and tells which process it ran in.
struct Slow(&'static str);

#[async_trait]
impl RustStepHandler for Slow {
    fn new(_: StepHandlerConfig) -> Self {
        Self("")
    }

    fn name(&self) -> &str {
        "slow"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let seconds: u64 = step.get_input("seconds")?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(self.0), None))
    }
}

/// A process with a runtime and a clock of its own. While nobody drives it, it is stopped like a process by SIGSTOP; dropped, it is
/// killed.
pub(super) struct Process {
    pub(super) runtime: Runtime,
    pub(super) engine: Engine,
}

impl Process {
    pub(super) fn start(name: &'static str, store: &Arc<MemoryStore>, at: Duration) -> Self {
        let process = Self::make(name, store, at);
        process.runtime.block_on(process.engine.start_worker()).unwrap();
        process
    }

    /// A process that runs no steps.
    fn idle(store: &Arc<MemoryStore>) -> Self {
        Self::make("idle", store, Duration::ZERO)
    }

    fn make(name: &'static str, store: &Arc<MemoryStore>, at: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let engine = runtime.block_on(async {
            let mut registry = RustStepHandlerRegistry::empty();
            registry.register("slow", move || Box::new(Slow(name)));
            let engine = Engine::start(Parts {
                store: store.clone(),
                registry: Arc::new(registry),
                state: Arc::default(),
                layers: Arc::new([]),
                events: Arc::default(),
                clock: Clock::starting_at(BEGINNING + at),
                ids: Ids::default(),
                threads: HandlerThreads::shared(),
                options: Options { lease: Some(LEASE), label: name.to_owned(), ..Options::default() },
            });
            let yaml = "name: t\nsteps: [{ name: a, handler: slow, timeout_seconds: 3600 }]";
            engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
            engine
        });
        Self { runtime, engine }
    }

    fn submit(&self, seconds: u64) -> TaskId {
        let context = json!({ "seconds": seconds });
        let request = TaskRequest { name: "t".to_owned(), context, ..TaskRequest::default() };
        self.runtime.block_on(self.engine.submit(request)).unwrap()
    }

    /// Goes on for so many seconds.
    pub(super) fn run(&self, seconds: u64) {
        self.runtime.block_on(async { tokio::time::sleep(Duration::from_secs(seconds)).await });
    }

    /// Finds that so many seconds have passed in which it was stopped.
    fn wake_after(&self, seconds: u64) {
        self.runtime.block_on(async { tokio::time::advance(Duration::from_secs(seconds)).await });
    }

    fn worker(&self) -> tasker_types::WorkerId {
        self.runtime.block_on(self.engine.worker()).unwrap().unwrap()
    }
}

/// Both go on for so many seconds, in turn.
pub(super) fn together(one: &Process, two: &Process, seconds: u64) {
    for _ in 0..seconds {
        one.run(1);
        two.run(1);
    }
}

/// The only step of a task: its state, its attempts before the last one, its result.
pub(super) fn step(store: &MemoryStore, task: TaskId) -> (StepState, Vec<AttemptOutcome>, Option<String>) {
    let read = async {
        assert_eq!(check(&store.dump(None, 100).await.unwrap()), []);
        store.find_task(task).await.unwrap().unwrap()
    };
    let view = Runtime::new().unwrap().block_on(read);
    let dump = Runtime::new().unwrap().block_on(store.dump(None, 100)).unwrap();
    let result = dump.results.iter().find(|row| row.task == task).and_then(|row| row.result.as_deref());
    let attempts = dump.attempts.iter().filter(|row| row.task == task).map(|row| row.outcome).collect();
    (view.steps[0].state, attempts, result.map(str::to_owned))
}

#[test]
fn a_step_outlives_many_leases_under_a_beating_heart() {
    let store = Arc::new(MemoryStore::new());
    let (one, two) = (Process::start("one", &store, Duration::ZERO), Process::start("two", &store, Duration::ZERO));
    let task = one.submit(600);
    together(&one, &two, 700);
    assert_eq!(step(&store, task), (StepState::Completed, vec![], Some("\"one\"".to_owned())));
}

#[test]
fn the_steps_of_a_dead_worker_are_taken_over_when_its_lease_has_ended() {
    let store = Arc::new(MemoryStore::new());
    let (one, two) = (Process::start("one", &store, Duration::ZERO), Process::start("two", &store, Duration::ZERO));
    let task = one.submit(20);
    one.run(5);
    drop(one);
    two.run(25);
    assert_eq!(step(&store, task), (StepState::Running, vec![], None), "its lease lasts");
    two.run(60);
    assert_eq!(step(&store, task), (StepState::Completed, vec![AttemptOutcome::Lost], Some("\"two\"".to_owned())));
}

#[test]
fn a_worker_that_starts_takes_over_at_once_what_is_free_to_take() {
    let store = Arc::new(MemoryStore::new());
    let one = Process::start("one", &store, Duration::ZERO);
    let task = one.submit(20);
    one.run(5);
    drop(one);
    let two = Process::start("two", &store, Duration::from_secs(60));
    two.run(21);
    assert_eq!(step(&store, task), (StepState::Completed, vec![AttemptOutcome::Lost], Some("\"two\"".to_owned())));
}

#[test]
fn a_worker_that_was_stopped_past_its_lease_records_nothing_that_another_one_ran() {
    let store = Arc::new(MemoryStore::new());
    let one = Process::start("one", &store, Duration::ZERO);
    let (task, slower) = (one.submit(20), one.submit(3_000));
    one.run(5);
    let before = one.worker();
    let two = Process::start("two", &store, Duration::from_secs(60));
    two.run(5);
    // Its handler is done at the very moment at which it finds its lease ended.
    one.wake_after(60);
    together(&one, &two, 60);
    assert_eq!(step(&store, task), (StepState::Completed, vec![AttemptOutcome::Lost], Some("\"two\"".to_owned())));
    assert_eq!(step(&store, slower), (StepState::Running, vec![AttemptOutcome::Lost], None));
    assert_ne!(one.worker(), before, "it is another incarnation");
    let next = one.submit(1);
    one.run(5);
    assert_eq!(step(&store, next), (StepState::Completed, vec![], Some("\"one\"".to_owned())), "it runs steps again");
}

#[test]
fn a_worker_whose_lease_ended_gives_its_claims_back_forgiven() {
    let store = Arc::new(MemoryStore::new());
    let one = Process::start("one", &store, Duration::ZERO);
    let task = one.submit(300);
    one.run(5);
    // Nobody else is there to take its step for lost.
    one.wake_after(60);
    one.run(20);
    assert_eq!(step(&store, task), (StepState::Running, vec![AttemptOutcome::Released], None));
    one.run(300);
    assert_eq!(step(&store, task).2.as_deref(), Some("\"one\""));
}

#[test]
fn a_worker_that_stops_gives_its_lease_up() {
    let store = Arc::new(MemoryStore::new());
    let one = Process::start("one", &store, Duration::ZERO);
    let task = one.submit(3_000);
    one.run(5);
    one.runtime.block_on(one.engine.stop());
    let now = Some(BEGINNING + Duration::from_secs(31));
    let workers = one.runtime.block_on(store.workers(now)).unwrap();
    assert_eq!(workers.iter().map(|worker| (&*worker.label, worker.is_live)).collect::<Vec<_>>(), [("one", false)]);
    assert_eq!(step(&store, task).1, [AttemptOutcome::Released]);
}

#[test]
fn a_claim_that_its_own_worker_does_not_know_is_given_back() {
    let store = Arc::new(MemoryStore::new());
    let one = Process::start("one", &store, Duration::ZERO);
    // A claim whose answer never arrived: made in its name, behind its back, of a task that it does not know of yet.
    let (me, queues) = (one.worker(), one.runtime.block_on(store.queues()).unwrap());
    let two = Process::idle(&store);
    let task = two.submit(1);
    let claim = tasker_runtime::store::ClaimRequest {
        worker: me,
        queues: queues.iter().map(|queue| queue.id).collect(),
        limit: 9,
        lossy: false,
        now: Some(BEGINNING + Duration::from_secs(1)),
        rotation: 0,
    };
    assert_eq!(one.runtime.block_on(store.claim(claim)).unwrap().claimed.len(), 1);
    one.run(8);
    assert_eq!(step(&store, task).0, StepState::Running, "seen once, it may be on its way");
    one.run(10);
    assert_eq!(step(&store, task), (StepState::Completed, vec![AttemptOutcome::Released], Some("\"one\"".to_owned())));
    assert_eq!(one.runtime.block_on(store.task_state(task)).unwrap(), Some(TaskState::Completed));
}
