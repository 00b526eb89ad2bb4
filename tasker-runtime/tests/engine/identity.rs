//! Requests that mean the same task, and tasks that start later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tasker_runtime::engine::Accepted;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::TestApp;
use tasker_types::{IfExists, Start, StepState, TaskRequest, TaskState};

fn app(strategy: &str) -> (TestApp, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(format!(
            "name: t\nidentity_strategy: {strategy}\nsteps: [{{ name: a }}, {{ name: b, dependencies: [a] }}]"
        ))
        .template("name: u\nidentity_strategy: strict\nsteps: [name: a]")
        .mock("a", move |_| Ok(json!(counted.fetch_add(1, Ordering::SeqCst))))
        .mock("b", |_| Ok(json!("after")));
    (app, calls)
}

fn request(context: Value, key: Option<&str>) -> TaskRequest {
    TaskRequest { name: "t".to_owned(), context, idempotency_key: key.map(str::to_owned), ..TaskRequest::default() }
}

async fn accept(app: &TestApp, request: TaskRequest) -> Result<Accepted, String> {
    let engine = app.engine().clone();
    let told = app.drive(async move { engine.accept(request).await }).await;
    told.map_err(|error| format!("{}: {error}", error.code()))
}

#[tokio::test]
async fn requests_with_the_same_context_mean_the_same_task_where_the_template_is_strict() {
    let (app, calls) = app("strict");
    let first = accept(&app, request(json!({ "a": 1, "b": [2] }), None)).await.unwrap();
    let second = accept(&app, request(json!({ "b": [2], "a": 1 }), None)).await.unwrap();
    assert_eq!(
        (first.is_new, second.is_new, second.task),
        (true, false, first.task),
        "the order of keys does not count"
    );
    app.skip(Duration::from_secs(1)).await;
    let third = accept(&app, request(json!({ "a": 1, "b": [2] }), None)).await.unwrap();
    assert_eq!((third.task, third.state), (first.task, TaskState::Completed), "one that is over counts as well");
    // Another run of the same is asked for with something that differs.
    let other = accept(&app, request(json!({ "a": 1, "b": [2], "test_run_id": "7" }), None)).await.unwrap();
    assert!(other.is_new);
    let elsewhere = TaskRequest { name: "u".to_owned(), ..request(json!({ "a": 1, "b": [2] }), None) };
    assert!(accept(&app, elsewhere).await.unwrap().is_new, "another template");
    app.skip(Duration::from_secs(1)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_key_goes_before_the_context_whatever_the_template_says() {
    for strategy in ["always_unique", "strict", "caller_provided"] {
        let (app, _) = app(strategy);
        let first = accept(&app, request(json!({ "a": 1 }), Some("order 7"))).await.unwrap();
        let second = accept(&app, request(json!({ "a": 2 }), Some("order 7"))).await.unwrap();
        let third = accept(&app, request(json!({ "a": 1 }), Some("order 8"))).await.unwrap();
        assert_eq!((second.task, second.is_new, third.is_new), (first.task, false, true), "{strategy}");
    }
}

#[tokio::test]
async fn a_template_that_wants_a_key_refuses_requests_without() {
    let (app, calls) = app("caller_provided");
    let told = accept(&app, request(json!({}), None)).await.unwrap_err();
    assert_eq!(
        told,
        "E205: template `t` is `identity_strategy: caller_provided`: each request needs an `idempotency_key`"
    );
    assert_eq!(accept(&app, request(json!({}), Some(""))).await.unwrap_err(), "E205: `idempotency_key` is empty");
    assert!(accept(&app, request(json!({}), Some(&"k".repeat(256)))).await.unwrap_err().starts_with("E205"));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn where_nothing_is_said_every_request_means_a_new_task() {
    let (app, _) = app("always_unique");
    for _ in 0..3 {
        assert!(accept(&app, request(json!({}), None)).await.unwrap().is_new);
    }
}

#[tokio::test]
async fn a_request_that_wants_a_conflict_is_refused_with_the_task_that_there_is() {
    let (app, _) = app("strict");
    let wanted = || TaskRequest { if_exists: IfExists::Conflict, ..request(json!({}), None) };
    let first = accept(&app, wanted()).await.unwrap();
    let told = accept(&app, wanted()).await.unwrap_err();
    assert_eq!(told, format!("E111: the same request made task {} already", first.task));
    assert_eq!(accept(&app, request(json!({}), None)).await.unwrap().task, first.task);
}

#[tokio::test]
async fn who_waits_for_a_request_that_was_made_before_waits_for_its_task() {
    let (app, calls) = app("strict");
    let first = accept(&app, request(json!({}), None)).await.unwrap();
    let engine = app.engine().clone();
    let told = app.drive(async move { engine.run(request(json!({}), None)).await }).await.unwrap();
    assert_eq!(told, (first.task, TaskState::Completed));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_task_starts_no_sooner_than_it_was_submitted_for_and_not_later() {
    let (app, calls) = app("always_unique");
    let (hour, second) = (Duration::from_secs(3_600), Duration::from_secs(1));
    let at = app.now() + hour;
    let mut tasks = Vec::new();
    for start in [Start::In(hour), Start::At(at)] {
        tasks.push(accept(&app, TaskRequest { start, ..request(json!({}), None) }).await.unwrap().task);
    }
    app.skip(hour - second).await;
    let mut starts = Vec::new();
    for &task in &tasks {
        let run = app.look(task).await;
        run.assert_step("a", StepState::WaitingForRetry).assert_step("b", StepState::Pending);
        assert_eq!(run.state(), TaskState::Pending);
        starts.push((run.view().row.created_at, run.step("a").ready_at));
    }
    assert_eq!((starts[0].1, starts[1].1), (Some(starts[0].0 + hour), Some(at)));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    app.skip(second * 2).await;
    for &task in &tasks {
        let run = app.look(task).await;
        run.assert_completed().assert_order(["a", "b"]);
        let step = run.step("a");
        let late = step.claimed_at.unwrap().since(step.ready_at.unwrap());
        assert!(late <= Duration::from_millis(2), "{late:?}");
    }
    let past = TaskRequest { start: Start::At(at), ..request(json!({}), None) };
    app.run_request(past).await.assert_completed();
}

#[tokio::test]
async fn a_task_that_starts_later_can_be_cancelled_and_paused_before() {
    let (app, calls) = app("always_unique");
    let later = || TaskRequest { start: Start::In(Duration::from_secs(60)), ..request(json!({}), None) };
    let (cancelled, paused) = (accept(&app, later()).await.unwrap().task, accept(&app, later()).await.unwrap().task);
    let engine = app.engine().clone();
    app.drive(async move {
        engine.cancel(cancelled, "me", "not needed").await.unwrap();
        engine.pause(paused, "me", "not yet").await.unwrap();
    })
    .await;
    assert_eq!(app.look(cancelled).await.state(), TaskState::Cancelled);
    app.skip(Duration::from_secs(120)).await;
    assert_eq!((app.look(paused).await.state(), calls.load(Ordering::SeqCst)), (TaskState::Paused, 0));
    let engine = app.engine().clone();
    app.drive(async move { engine.resume(paused, "me", "now").await }).await.unwrap();
    app.skip(Duration::from_secs(1)).await;
    app.look(paused).await.assert_completed();
}
