//! Tasks that take longer than their template allows.

use std::time::Duration;

use anyhow::bail;
use async_trait::async_trait;
use serde_json::{Value, json};
use tasker_runtime::core::Act;
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_runtime::testing::TestApp;
use tasker_types::{Start, StepExecutionResult, StepState, TaskId, TaskRequest, TaskSequenceStep, TaskState};

/// More than the two minutes that a task may take, and the time until it is looked at.
const TOO_LONG: Duration = Duration::from_secs(2 * 60 + 31);

/// A task whose first step is tried again every minute, for ever.
async fn endless(action: &str) -> (TestApp, TaskId) {
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(format!(
            "name: t\nlifecycle: {{ max_duration_minutes: 2, staleness_action: {action} }}\nsteps:\n  \
             - {{ name: try_it, retry: {{ max_attempts: 1000, backoff: linear, backoff_base_ms: 50000, max_backoff_ms: 50000 }} }}\n  \
             - {{ name: after, dependencies: [try_it] }}\n"
        ))
        .mock("try_it", |_| -> anyhow::Result<Value> { bail!("not yet") })
        .mock("after", |_| Ok(json!(1)));
    let task = app.start("t", json!({})).await;
    (app, task)
}

#[tokio::test]
async fn a_task_that_takes_too_long_becomes_a_dead_letter() {
    let (app, task) = endless("dlq").await;
    app.skip(Duration::from_secs(110)).await;
    assert_eq!(app.look(task).await.state(), TaskState::Running, "it has its time");
    app.skip(TOO_LONG - Duration::from_secs(110)).await;
    let run = app.look(task).await;
    run.assert_failed().assert_step("try_it", StepState::Failed).assert_step("after", StepState::Pending);
    let action = &run.view().actions[0];
    assert_eq!((action.kind, &*action.actor, &*action.reason), ("expire", "tasker", "it took longer than 2 minutes"));
}

#[tokio::test]
async fn the_time_of_a_task_that_starts_later_begins_then() {
    let (app, _) = endless("dlq").await;
    let engine = app.engine().clone();
    let start = Start::In(Duration::from_secs(600));
    let request = TaskRequest { name: "t".to_owned(), start, ..TaskRequest::default() };
    let task = app.drive(async move { engine.submit(request).await }).await.unwrap();
    app.skip(Duration::from_secs(590)).await;
    assert_eq!(app.look(task).await.state(), TaskState::Pending, "it has not started");
    app.skip(Duration::from_secs(10 + 110)).await;
    assert_eq!(app.look(task).await.state(), TaskState::Running, "it has its time");
    app.skip(TOO_LONG - Duration::from_secs(110)).await;
    app.look(task).await.assert_failed();
}

#[tokio::test]
async fn a_task_that_takes_too_long_is_cancelled_or_paused_where_its_template_says_so() {
    for (action, state) in [("cancel", TaskState::Cancelled), ("pause", TaskState::Paused)] {
        let (app, task) = endless(action).await;
        app.skip(TOO_LONG).await;
        assert_eq!(app.look(task).await.state(), state, "{action}");
    }
}

#[tokio::test]
async fn who_lets_a_task_go_on_gives_it_its_time_once_more() {
    let (app, task) = endless("dlq").await;
    app.skip(TOO_LONG).await;
    app.look(task).await.assert_failed();
    let engine = app.engine().clone();
    app.drive(async move { engine.act(task, Act::Retry(None), "ada", "").await }).await.unwrap();
    app.skip(Duration::from_secs(110)).await;
    assert_eq!(app.look(task).await.state(), TaskState::Running);
    app.skip(TOO_LONG).await;
    app.look(task).await.assert_failed();
}

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
        tokio::time::sleep(Duration::from_secs(200)).await;
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!("done"), None))
    }
}

#[tokio::test]
async fn a_step_that_runs_comes_to_its_end_and_what_it_makes_ready_does_not_begin() {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("slow", || Box::new(Slow));
    let app = TestApp::with_handlers(registry)
        .template(
            "name: t\nlifecycle: { max_duration_minutes: 1 }\nsteps:\n  - { name: slow, timeout_seconds: 600 }\n  \
             - { name: waits, dependencies: [slow], retry: { max_attempts: 9, backoff: linear, backoff_base_ms: 50000, max_backoff_ms: 50000 } }\n",
        )
        .mock("waits", |_| -> anyhow::Result<Value> { bail!("not yet") });
    let task = app.start("t", json!({})).await;
    app.skip(Duration::from_secs(150)).await;
    app.look(task).await.assert_step("slow", StepState::Running);
    app.skip(Duration::from_secs(150)).await;
    app.look(task)
        .await
        .assert_failed()
        .assert_step("slow", StepState::Completed)
        .assert_step("waits", StepState::Failed);
}

#[tokio::test]
async fn what_would_go_on_at_once_after_a_step_that_runs_does_not_begin() {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("slow", || Box::new(Slow));
    let app = TestApp::with_handlers(registry)
        .template(
            "name: t\nlifecycle: { max_duration_minutes: 1 }\nsteps:\n  - { name: slow, timeout_seconds: 600 }\n  \
             - { name: after, dependencies: [slow] }\n",
        )
        .mock("after", |_| Ok(json!(1)));
    let task = app.start("t", json!({})).await;
    app.skip(Duration::from_secs(150)).await;
    assert_eq!(app.look(task).await.state(), TaskState::Paused, "it ends when `slow` does");
    app.skip(Duration::from_secs(150)).await;
    app.look(task)
        .await
        .assert_failed()
        .assert_step("slow", StepState::Completed)
        .assert_step("after", StepState::Failed);
}

#[tokio::test]
async fn a_task_that_an_operator_paused_is_left_alone() {
    let (app, task) = endless("dlq").await;
    let engine = app.engine().clone();
    app.drive(async move { engine.act(task, Act::Pause, "ada", "").await }).await.unwrap();
    app.skip(TOO_LONG * 3).await;
    assert_eq!(app.look(task).await.state(), TaskState::Paused);
    let engine = app.engine().clone();
    app.drive(async move { engine.act(task, Act::Resume, "ada", "").await }).await.unwrap();
    app.skip(Duration::from_secs(110)).await;
    assert_eq!(app.look(task).await.state(), TaskState::Running, "it has its time once more");
    app.skip(TOO_LONG).await;
    app.look(task).await.assert_failed();
}
