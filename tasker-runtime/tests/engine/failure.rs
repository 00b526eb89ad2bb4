//! What fails is tried again as its policy says, and ends what it must.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::TestApp;
use tasker_types::{StepError, StepState, TaskState};

fn flaky(
    failures: u32,
) -> (Arc<AtomicU32>, impl Fn(&tasker_types::TaskSequenceStep) -> tasker_runtime::testing::MockResult + Send + Sync) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let run = move |_: &tasker_types::TaskSequenceStep| {
        if counted.fetch_add(1, Ordering::SeqCst) < failures {
            bail!("not yet");
        }
        Ok(json!("done"))
    };
    (calls, run)
}

fn app(retry: &str) -> TestApp {
    TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(format!("name: t\nsteps:\n  - {{ name: a, {retry} }}\n  - {{ name: b, dependencies: [a] }}\n"))
        .mock("b", |_| Ok(json!("after")))
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_after_its_backoff_to_the_millisecond() {
    let (calls, run) = flaky(3);
    let app = app("retry: { max_attempts: 5, backoff: exponential, backoff_base_ms: 60000, max_backoff_ms: 3600000 }")
        .mock("a", run);
    let run = app.run("t", json!({})).await;
    run.assert_completed().assert_result("a", &json!("done")).assert_order(["a", "b"]);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    for ((attempt, delay), base) in run.step("a").attempts.iter().zip(run.delays("a")).zip([60.0, 120.0, 240.0]) {
        assert!(
            (base * 0.85..=base * 1.15 + 0.002).contains(&delay.as_secs_f64()),
            "{delay:?} after a backoff of {base} s"
        );
        let late = run
            .step("a")
            .attempts
            .get(attempt.attempt as usize)
            .map_or(run.step("a").claimed_at, |next| next.claimed_at);
        let late = late.unwrap().since(attempt.retry_at.unwrap());
        assert!(late <= Duration::from_millis(2), "{late:?} late");
    }
}

#[tokio::test]
async fn the_last_failed_attempt_fails_the_step_and_then_the_task() {
    let (calls, run) = flaky(99);
    let app = app("retry: { max_attempts: 3, backoff_base_ms: 10 }").mock("a", run);
    let run = app.run("t", json!({})).await;
    run.assert_failed().assert_step("a", StepState::Failed).assert_step("b", StepState::Pending);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(run.errors("a"), ["not yet", "not yet", "not yet"]);
}

#[tokio::test]
async fn a_permanent_error_is_not_tried_again() {
    let app =
        app("retry: { max_attempts: 9 }").mock("a", |_| Err(StepError::permanent("never").with_code("NEVER").into()));
    let run = app.run("t", json!({})).await;
    run.assert_failed();
    assert_eq!(run.step("a").attempt, 1);
    assert_eq!(run.step("a").detail.as_ref().unwrap()["error_code"], "NEVER");
}

#[tokio::test]
async fn a_panic_is_a_failure_with_a_code_of_its_own() {
    let app = app("retry: { max_attempts: 2, backoff_base_ms: 1 }").mock("a", |_| panic!("ouch"));
    let run = app.run("t", json!({})).await;
    run.assert_failed();
    assert_eq!(run.step("a").attempt, 2);
    assert_eq!(run.step("a").detail.as_ref().unwrap()["error_code"], "HANDLER_PANIC");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_timed_out_and_tried_again() {
    use tasker_runtime::handler::{Layer, Next};
    struct Slow(AtomicU32);
    #[async_trait::async_trait]
    impl Layer for Slow {
        async fn around(
            &self,
            step: &tasker_types::TaskSequenceStep,
            next: Next<'_>,
        ) -> tasker_types::StepExecutionResult {
            if step.workflow_step.name == "a" && self.0.fetch_add(1, Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            next.run().await
        }
    }
    let app = app("timeout_seconds: 2, retry: { backoff_base_ms: 5 }")
        .layer(Slow(AtomicU32::new(0)))
        .mock("a", |_| Ok(json!(1)));
    let run = app.run("t", json!({})).await;
    run.assert_completed();
    let first = &run.step("a").attempts[0];
    let took = first.finished_at.since(first.claimed_at.unwrap());
    assert!((2.0..2.003).contains(&took.as_secs_f64()), "{took:?}");
    assert_eq!(first.detail.as_ref().unwrap()["error_type"], "timeout");
}

#[tokio::test]
async fn what_cannot_be_stored_fails_its_step_alone() {
    let results: [fn() -> Value; 4] = [
        || json!("x\0y"),
        || json!("x".repeat(10 * 1024 * 1024)),
        || (0..100_000).fold(json!(1), |inner, _| Value::Array(vec![inner])),
        || (0..100_000).fold(json!(1), |inner, _| Value::Object([("a".to_owned(), inner)].into_iter().collect())),
    ];
    for result in results {
        let app = app("").mock("a", move |_| Ok(result()));
        let run = app.run("t", json!({})).await;
        run.assert_failed();
        assert_eq!(run.step("a").attempt, 1);
        assert_eq!(run.step("a").detail.as_ref().unwrap()["error_code"], "RESULT_NOT_STORABLE");
    }
}

#[tokio::test]
async fn a_failed_task_goes_on_after_a_retry() {
    let (_, run) = flaky(1);
    let app = app("retry: { retryable: false }").mock("a", run);
    let task = app.start("t", json!({})).await;
    app.skip(Duration::from_secs(1)).await;
    app.look(task).await.assert_failed();
    let engine = app.engine().clone();
    app.drive(async move { engine.retry(task, None, "tester", "try again").await }).await.unwrap();
    app.skip(Duration::from_secs(1)).await;
    let run = app.look(task).await;
    run.assert_completed();
    assert_eq!(run.step("a").attempt, 2);
}

#[tokio::test]
async fn a_cancelled_task_stops_its_handlers_after_a_grace_period() {
    use tasker_runtime::handler::{Layer, Next};
    struct Stubborn;
    #[async_trait::async_trait]
    impl Layer for Stubborn {
        async fn around(
            &self,
            _: &tasker_types::TaskSequenceStep,
            next: Next<'_>,
        ) -> tasker_types::StepExecutionResult {
            tokio::time::sleep(Duration::from_secs(600)).await;
            next.run().await
        }
    }
    let app = app("timeout_seconds: 3600").layer(Stubborn).mock("a", |_| Ok(json!(1)));
    let task = app.start("t", json!({})).await;
    app.skip(Duration::from_secs(1)).await;
    let engine = app.engine().clone();
    let reply = app.drive(async move { engine.cancel(task, "tester", "enough").await }).await.unwrap();
    assert_eq!(reply.state, TaskState::Cancelling);
    app.skip(Duration::from_secs(4)).await;
    assert_eq!(app.look(task).await.state(), TaskState::Cancelling);
    app.skip(Duration::from_secs(2)).await;
    let run = app.look(task).await;
    assert_eq!(run.state(), TaskState::Cancelled);
    run.assert_step("a", StepState::Cancelled).assert_step("b", StepState::Cancelled);
}
