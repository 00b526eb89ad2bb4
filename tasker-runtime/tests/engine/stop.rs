//! A worker that stops finishes what runs, gives the rest back, and forgives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tasker_runtime::core::{AttemptOutcome, check};
use tasker_runtime::engine::{Engine, Options};
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_runtime::store::{MemoryStore, Store};
use tasker_types::{StepExecutionResult, TaskRequest, TaskSequenceStep, TaskState, template};

use crate::engine_on;

/// How long the handler takes, in seconds.
static SECONDS: AtomicU64 = AtomicU64::new(0);

struct Slow;

#[async_trait]
impl RustStepHandler for Slow {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "slow"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        tokio::time::sleep(Duration::from_secs(SECONDS.load(Ordering::SeqCst))).await;
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(1), None))
    }
}

async fn engine(store: &Arc<MemoryStore>) -> Engine {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("slow", || Box::new(Slow));
    let engine = engine_on(store.clone(), registry, Options::default());
    let yaml = "name: t\nsteps: [{ name: a, handler: slow, timeout_seconds: 600 }, { name: b, handler: slow, dependencies: [a] }]";
    engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
    engine.start_worker().await.unwrap();
    engine
}

#[tokio::test(start_paused = true)]
async fn what_ends_within_the_drain_is_recorded_and_what_does_not_is_given_back() {
    let store = Arc::new(MemoryStore::new());
    for (seconds, outcome) in [(20, None), (300, Some(AttemptOutcome::Released))] {
        SECONDS.store(seconds, Ordering::SeqCst);
        let first = engine(&store).await;
        let task = first.submit(TaskRequest { name: "t".to_owned(), ..TaskRequest::default() }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        first.stop().await;
        let view = store.find_task(task).await.unwrap().unwrap();
        assert_eq!(view.steps[0].attempts.first().map(|attempt| attempt.outcome), outcome, "a handler of {seconds} s");
        assert_eq!(view.steps[0].result.is_some(), outcome.is_none());
        assert_eq!((view.steps[0].failures, view.steps[0].losses), (0, 0));

        SECONDS.store(1, Ordering::SeqCst);
        let second = engine(&store).await;
        assert_eq!(second.wait(task).await.unwrap(), TaskState::Completed);
        second.stop().await;
        assert_eq!(check(&store.dump(None, 100).await.unwrap()), []);
    }
}
