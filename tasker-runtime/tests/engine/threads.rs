//! Handlers that hold their thread, in real time: their attempts end, and the others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tasker_runtime::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts};
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_runtime::store::MemoryStore;
use tasker_types::{StepExecutionResult, TaskRequest, TaskSequenceStep, TaskState, template};

/// Never yields until the test is over.
struct Endless(Arc<AtomicBool>);

#[async_trait]
impl RustStepHandler for Endless {
    fn new(_: StepHandlerConfig) -> Self {
        Self(Arc::default())
    }

    fn name(&self) -> &str {
        "endless"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        while !self.0.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!("too late"), None))
    }
}

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
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(1), None))
    }
}

fn request(name: &str) -> TaskRequest {
    TaskRequest { name: name.to_owned(), ..TaskRequest::default() }
}

/// More handlers hold their threads than there are: their attempts end, and the others go on.
async fn goes_on(stuck_step: &str, request_of_stuck: TaskRequest, error_type: &str) {
    let let_go = Arc::new(AtomicBool::new(false));
    let mut registry = RustStepHandlerRegistry::empty();
    let held = let_go.clone();
    registry.register("endless", move || Box::new(Endless(held.clone())));
    registry.register("quick", || Box::new(Quick));
    let engine = Engine::start(Parts {
        store: Arc::new(MemoryStore::new()),
        registry: Arc::new(registry),
        state: Arc::default(),
        layers: Arc::new([]),
        events: Arc::default(),
        clock: Clock::System,
        ids: Ids::default(),
        threads: HandlerThreads::own(2).unwrap(),
        options: Options::default(),
    });
    for yaml in [
        &*format!("name: stuck\nsteps: [{{ name: a, handler: endless, {stuck_step} retry: {{ retryable: false }} }}]"),
        // What is sent to threads that are held already is tried again on others.
        "name: fine\nsteps: [{ name: a, handler: quick, timeout_seconds: 0.2 }]",
    ] {
        engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
    }
    engine.start_worker().await.unwrap();
    // More of them than there are threads: nothing can run until they are given up.
    let mut stuck = Vec::new();
    for _ in 0..2 {
        stuck.push(engine.submit(request_of_stuck.clone()).await.unwrap());
    }
    for task in stuck {
        assert_eq!(engine.wait(task).await.unwrap(), TaskState::Failed);
        let view = engine.store().find_task(task).await.unwrap().unwrap();
        assert_eq!(view.steps[0].detail.as_ref().unwrap()["error_type"], error_type);
    }
    for _ in 0..20 {
        assert_eq!(engine.run(request("fine")).await.unwrap().1, TaskState::Completed);
    }
    let_go.store(true, Ordering::Relaxed);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn handlers_that_never_yield_are_given_up_and_the_others_go_on() {
    goes_on("timeout_seconds: 0.05,", request("stuck"), "timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn handlers_that_never_yield_and_whose_claims_are_lost_are_given_up_and_the_others_go_on() {
    let impatient = TaskRequest { claim_timeout_seconds: Some(1), ..request("stuck") };
    goes_on("", impatient, "worker_lost").await;
}
