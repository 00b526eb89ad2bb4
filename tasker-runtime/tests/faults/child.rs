//! The worker process: this test binary itself, started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use tasker_runtime::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts};
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_runtime::store::Store;
use tasker_runtime::store::sqlite::{Durability, SqliteStore, WorkerLock};
use tasker_types::{StepExecutionResult, TaskSequenceStep, template};

use crate::journal;

const PLACE: &str = "TASKER_FAULTS_PLACE";

/// Twelve steps: a root, two layers that fan out and in, and a chain. They may be lost more often than by default: here
/// it is the machine that dies, not the handler.
pub(crate) const DAG: &str = "
name: dag
steps:
  - { name: a, handler: work, retry: { max_losses: 1000 } }
  - { name: b, handler: work, dependencies: [a], retry: { max_losses: 1000 } }
  - { name: c, handler: work, dependencies: [a], retry: { max_losses: 1000 } }
  - { name: d, handler: work, dependencies: [a], retry: { max_losses: 1000 } }
  - { name: e, handler: work, dependencies: [b, c], retry: { max_losses: 1000 } }
  - { name: f, handler: work, dependencies: [c, d], retry: { max_losses: 1000 } }
  - { name: g, handler: work, dependencies: [b, d], retry: { max_losses: 1000 } }
  - { name: h, handler: work, dependencies: [e, f, g], retry: { max_losses: 1000 } }
  - { name: i, handler: work, dependencies: [h], retry: { max_losses: 1000 } }
  - { name: j, handler: work, dependencies: [h], retry: { max_losses: 1000 } }
  - { name: k, handler: work, dependencies: [i, j], retry: { max_losses: 1000 } }
  - { name: l, handler: work, dependencies: [k, a], retry: { max_losses: 1000 } }
";
pub(crate) const KILLER: &str = "
name: killer
steps: [{ name: kill, handler: kill }]
";
pub(crate) const INNOCENT: &str = "
name: innocent
steps: [{ name: work, handler: work }]
";

/// Keeps a journal, takes a few milliseconds, returns the sum of what came before plus one.
struct Work;

#[async_trait]
impl RustStepHandler for Work {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "work"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let (task, name, attempt) =
            (step.task.task_uuid.to_string(), &step.workflow_step.name, step.workflow_step.attempt);
        let journal = place().join("journal");
        journal::note(&journal, "begin", &task, name, attempt);
        let ms = 1 + u64::from(step.workflow_step.workflow_step_uuid.as_bytes()[9] % 5);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let sum: i64 = step.dependency_results.iter().filter_map(|(_, result)| result.result.as_i64()).sum();
        journal::note(&journal, "end", &task, name, attempt);
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(sum + 1), None))
    }
}

/// Takes its process with it.
struct Kill;

#[async_trait]
impl RustStepHandler for Kill {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "kill"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let task = step.task.task_uuid.to_string();
        journal::note(&place().join("journal"), "begin", &task, "kill", step.workflow_step.attempt);
        std::process::abort();
    }
}

fn place() -> PathBuf {
    PathBuf::from(std::env::var_os(PLACE).unwrap())
}

pub(crate) fn registry() -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("work", || Box::new(Work));
    registry.register("kill", || Box::new(Kill));
    registry
}

/// An engine on the file in `place`; it runs no steps until its worker is started.
pub(crate) async fn engine(place: &Path, slots: usize) -> (Engine, Arc<SqliteStore>) {
    let store = Arc::new(SqliteStore::open(place.join("tasker.db"), Durability::Full).await.unwrap());
    let engine = Engine::start(Parts {
        store: store.clone() as Arc<dyn Store>,
        registry: Arc::new(registry()),
        state: Arc::default(),
        layers: Arc::new([]),
        clock: Clock::System,
        ids: Ids::default(),
        threads: HandlerThreads::own(2).unwrap(),
        options: Options { slots, poll: Duration::from_millis(5), ..Options::default() },
    });
    (engine, store)
}

pub(crate) async fn add_templates(engine: &Engine) {
    for text in [DAG, KILLER, INNOCENT] {
        engine.add_template(template::parse("faults.yaml", text).unwrap().template).await.unwrap();
    }
}

/// Not a test of its own: what the other tests start and kill. Alone it does nothing.
#[test]
fn worker_process() {
    if std::env::var_os(PLACE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let place = place();
        let deadline = Instant::now() + Duration::from_secs(120);
        // The lock of a process that was just killed is released with it.
        let _lock = loop {
            match WorkerLock::try_take(&place.join("tasker.db")).unwrap() {
                Some(lock) => break lock,
                None => assert!(Instant::now() < deadline, "the worker's lock is never free"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let (engine, _store) = engine(&place, 16).await;
        add_templates(&engine).await;
        engine.start_worker().await.unwrap();
        tokio::time::sleep(deadline - Instant::now()).await;
        panic!("nobody killed this process");
    });
}

/// Starts a worker process on the database in `place`.
pub(crate) fn spawn(place: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::worker_process", "--nocapture"])
        .env(PLACE, place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
