//! How far an attempt has come is there for the next one, whatever ended it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tasker_runtime::core::check;
use tasker_runtime::engine::{Engine, Options};
use tasker_runtime::handler::{
    CheckpointError, RustStepHandler, RustStepHandlerRegistry, StepContext, StepHandlerConfig,
};
use tasker_runtime::store::{MemoryStore, Store};
use tasker_types::{StepError, StepExecutionResult, TaskId, TaskRequest, TaskSequenceStep, TaskState, template};

use crate::engine_on;

/// What attempts found when they began, and what they were told when they saved.
type Seen = Arc<Mutex<Vec<(u32, Option<Value>, Result<(), CheckpointError>)>>>;

/// Saves what its task says of its attempt, then does what that says.
struct Saver(Seen);

#[async_trait]
impl RustStepHandler for Saver {
    fn new(_: StepHandlerConfig) -> Self {
        Self(Seen::default())
    }

    fn name(&self) -> &str {
        "saver"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let (context, attempt) = (StepContext::new(step), step.workflow_step.attempt);
        let plan = &step.task.context["attempts"][attempt as usize - 1];
        let found: Option<Value> = context.last_checkpoint()?;
        tokio::time::sleep(Duration::from_secs(plan["after"].as_u64().unwrap_or(0))).await;
        let saved = match &plan["save"] {
            Value::Null => Ok(()),
            value => context.checkpoint(value).await,
        };
        self.0.lock().unwrap().push((attempt, found, saved.clone()));
        saved?;
        tokio::time::sleep(Duration::from_secs(plan["hang"].as_u64().unwrap_or(0))).await;
        if plan["fails"] == true {
            return Ok(StepError::retryable("not yet").into_result(step.workflow_step.workflow_step_uuid));
        }
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(attempt), None))
    }
}

async fn engine(store: &Arc<MemoryStore>, seen: &Seen) -> Engine {
    let mut registry = RustStepHandlerRegistry::empty();
    let seen = seen.clone();
    registry.register("saver", move || Box::new(Saver(seen.clone())));
    let engine = engine_on(store.clone(), registry, Options::default());
    let yaml = "name: t\nsteps: [{ name: a, handler: saver, timeout_seconds: 60, retry: { max_attempts: 3 } }]";
    engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
    engine.start_worker().await.unwrap();
    engine
}

fn request(attempts: Value) -> TaskRequest {
    TaskRequest { name: "t".to_owned(), context: json!({ "attempts": attempts }), ..TaskRequest::default() }
}

async fn run(attempts: Value) -> (Arc<MemoryStore>, TaskId, Seen) {
    let (store, seen) = (Arc::new(MemoryStore::new()), Seen::default());
    let engine = engine(&store, &seen).await;
    let (task, _) = engine.run(request(attempts)).await.unwrap();
    engine.stop().await;
    assert_eq!(check(&store.dump(None, 100).await.unwrap()), []);
    (store, task, seen)
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_begins_with_what_was_saved_last() {
    let (store, task, seen) = run(json!([
        { "save": { "last_cursor": 5 }, "fails": true },
        { "save": [9, "x"], "hang": 600 },
        {},
    ]))
    .await;
    let found: Vec<_> = seen.lock().unwrap().iter().map(|(attempt, found, _)| (*attempt, found.clone())).collect();
    assert_eq!(found, [(1, None), (2, Some(json!({ "last_cursor": 5 }))), (3, Some(json!([9, "x"])))]);
    let view = store.find_task(task).await.unwrap().unwrap();
    assert_eq!(view.row.state, TaskState::Completed);
    assert_eq!(view.steps[0].checkpoint.as_ref().map(|saved| saved.attempt), Some(2));
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_begins_with_what_was_saved_and_who_lost_the_claim_saves_nothing() {
    let (store, seen) = (Arc::new(MemoryStore::new()), Seen::default());
    let dying = engine(&store, &seen).await;
    let task = dying
        .submit(request(json!([{ "save": 1, "hang": 5 }, { "after": 1, "save": 2, "hang": 20 }, {}])))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Each one takes the step of the one before it for lost.
    let second = engine(&store, &seen).await;
    let third = engine(&store, &seen).await;
    assert_eq!(third.wait(task).await.unwrap(), TaskState::Completed);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0], (1, None, Ok(())));
    assert_eq!(seen[1], (3, Some(json!(1)), Ok(())), "what the second one saved too late is not there");
    let (attempt, found, told) = &seen[2];
    assert_eq!((*attempt, found), (2, &Some(json!(1))));
    assert!(matches!(told, Err(CheckpointError::Stale(_))), "{told:?}");
    let saved = store.dump(None, 1).await.unwrap().checkpoints;
    assert_eq!((saved.len(), &*saved[0].value), (1, "1"));
    drop((dying, second));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_saved_and_fails_the_step_for_good() {
    let large = "x".repeat(64 * 1024);
    let (store, task, seen) = run(json!([{ "save": 1, "fails": true }, { "save": large }, {}])).await;
    let told = seen.lock().unwrap()[1].2.clone().unwrap_err();
    assert!(matches!(told, CheckpointError::NotStorable(_)));
    assert!(told.to_string().contains("the checkpoint has 65538 bytes as JSON; at most 65536 are stored"), "{told}");
    let view = store.find_task(task).await.unwrap().unwrap();
    assert_eq!((view.row.state, view.steps[0].attempt), (TaskState::Failed, 2));
    assert_eq!(view.steps[0].checkpoint.as_ref().map(|saved| &saved.value), Some(&json!(1)), "the one before stands");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_drains_still_saves() {
    let (store, seen) = (Arc::new(MemoryStore::new()), Seen::default());
    let first = engine(&store, &seen).await;
    let task = first.submit(request(json!([{ "after": 10, "save": 1, "hang": 600 }, {}]))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.stop().await;
    let second = engine(&store, &seen).await;
    assert_eq!(second.wait(task).await.unwrap(), TaskState::Completed);
    assert_eq!(seen.lock().unwrap()[1].1, Some(json!(1)), "what was given back is taken up where it was left");
}
