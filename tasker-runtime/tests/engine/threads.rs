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

static LET_GO: AtomicBool = AtomicBool::new(false);

/// Never yields until the test is over.
struct Endless;

#[async_trait]
impl RustStepHandler for Endless {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "endless"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        while !LET_GO.load(Ordering::Relaxed) {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn handlers_that_never_yield_are_given_up_and_the_others_go_on() {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("endless", || Box::new(Endless));
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
        "name: stuck\nsteps: [{ name: a, handler: endless, timeout_seconds: 0.05, retry: { retryable: false } }]",
        "name: fine\nsteps: [{ name: a, handler: quick }]",
    ] {
        engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
    }
    engine.start_worker().await.unwrap();
    // More of them than there are threads: nothing can run until they are given up.
    let mut stuck = Vec::new();
    for _ in 0..2 {
        stuck.push(engine.submit(request("stuck")).await.unwrap());
    }
    for task in stuck {
        assert_eq!(engine.wait(task).await.unwrap(), TaskState::Failed);
        let view = engine.store().find_task(task).await.unwrap().unwrap();
        assert_eq!(view.steps[0].detail.as_ref().unwrap()["error_type"], "timeout");
    }
    for _ in 0..20 {
        assert_eq!(engine.run(request("fine")).await.unwrap().1, TaskState::Completed);
    }
    LET_GO.store(true, Ordering::Relaxed);
    engine.stop().await;
}
