//! A task that is over is run again from one of its steps on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use tasker_runtime::core::Refusal;
use tasker_runtime::engine::Error;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::TestApp;
use tasker_types::{IfExists, StepNumber, StepState, TaskId, TaskRequest, TaskState};

const YAML: &str = "name: t\nsteps:\n  - { name: read }\n  - { name: price, dependencies: [read] }\n  \
                    - { name: ship, dependencies: [price] }\n";

/// Each step tells how often it was run, and what it was given.
fn app(fails: bool) -> (TestApp, Arc<AtomicU32>) {
    let reads = Arc::new(AtomicU32::new(0));
    let counted = reads.clone();
    let given = |name: &'static str| {
        move |step: &tasker_types::TaskSequenceStep| {
            let read = step.dependency_results.get(name).map(|found| found.result.clone());
            Ok(json!([step.task.context["n"], read]))
        }
    };
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(YAML)
        .mock("read", move |_| Ok(json!(counted.fetch_add(1, Ordering::SeqCst) + 1)))
        .mock(
            "price",
            move |step| if fails && step.task.context["n"] == 1 { bail!("no price") } else { given("read")(step) },
        )
        .mock("ship", given("price"));
    (app, reads)
}

async fn rerun(app: &TestApp, task: TaskId, from: u32, context: Option<Value>) -> Result<TaskId, Error> {
    let engine = app.engine().clone();
    let again = async move { engine.rerun(task, StepNumber(from), context.as_ref(), "ada", "once more").await };
    app.drive(again).await
}

#[tokio::test]
async fn earlier_results_are_kept_and_the_step_and_all_after_it_run_anew() {
    let (app, reads) = app(false);
    let first = app.run("t", json!({ "n": 1 })).await;
    first.assert_completed().assert_result("ship", &json!([1, [1, 1]]));
    let task = first.view().row.id;
    app.skip(Duration::from_secs(1)).await;
    let new = rerun(&app, task, 1, None).await.unwrap();
    app.skip(Duration::from_secs(1)).await;
    let again = app.look(new).await;
    again.assert_completed().assert_result("read", &json!(1)).assert_result("ship", &json!([1, [1, 1]]));
    assert_eq!(reads.load(Ordering::SeqCst), 1, "it was not read again");
    assert_eq!(again.view().input.correlation_id, first.view().input.correlation_id);
    let kept: Vec<bool> = again.view().steps.iter().map(|step| step.is_copied).collect();
    assert_eq!((kept, again.view().rerun_of.unwrap().source), (vec![true, false, false], task));
    assert_eq!(app.look(task).await.view().reruns[0].task, new);
    // From the first step on, nothing is kept.
    let new = rerun(&app, new, 0, None).await.unwrap();
    app.skip(Duration::from_secs(1)).await;
    app.look(new).await.assert_completed().assert_result("ship", &json!([1, [1, 2]]));
}

#[tokio::test]
async fn a_rerun_with_another_input_reads_that() {
    let (app, reads) = app(true);
    let first = app.run("t", json!({ "n": 1 })).await;
    first.assert_failed();
    let task = first.view().row.id;
    let new = rerun(&app, task, 1, Some(json!({ "n": 2 }))).await.unwrap();
    app.skip(Duration::from_secs(1)).await;
    app.look(new).await.assert_completed().assert_result("ship", &json!([2, [2, 1]]));
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    app.look(task).await.assert_failed().assert_step("ship", StepState::Pending);
    let refused = rerun(&app, task, 1, Some(json!(3))).await.unwrap_err();
    assert_eq!((refused.code(), refused.to_string().as_str()), ("E204", "the context is a number, not an object"));
}

#[tokio::test]
async fn a_rerun_is_as_urgent_as_the_task_before_and_its_claims_last_as_long() {
    let (app, _) = app(false);
    let request = TaskRequest {
        name: "t".to_owned(),
        context: json!({ "n": 1 }),
        initiator: "the shop".to_owned(),
        source_system: "a test".to_owned(),
        reason: "an order".to_owned(),
        priority: 7,
        correlation_id: Some("order 12".to_owned()),
        claim_timeout_seconds: Some(300),
        ..TaskRequest::default()
    };
    let first = app.run_request(request).await;
    let mut task = first.view().row.id;
    // Of a rerun, too.
    for _ in 0..2 {
        task = rerun(&app, task, 1, None).await.unwrap();
        app.skip(Duration::from_secs(1)).await;
        let again = app.look(task).await;
        again.assert_completed();
        assert_eq!((again.view().row.priority, &again.view().input), (7, &first.view().input));
    }
    assert_eq!(first.view().input.correlation_id, "order 12");
    assert_eq!(first.view().input.claim_timeout, Some(Duration::from_secs(300)));
}

#[tokio::test]
async fn a_key_means_the_task_that_it_made_and_never_a_rerun_of_it() {
    let (app, _) = app(true);
    let ask = async |if_exists| {
        let (engine, name, key) = (app.engine().clone(), "t".to_owned(), Some("order 12".to_owned()));
        let request =
            TaskRequest { name, context: json!({ "n": 1 }), idempotency_key: key, if_exists, ..TaskRequest::default() };
        app.drive(async move { engine.accept(request).await }).await
    };
    let first = ask(IfExists::Attach).await.unwrap();
    assert!(first.is_new);
    app.skip(Duration::from_secs(60)).await;
    app.look(first.task).await.assert_failed();
    let new = rerun(&app, first.task, 1, Some(json!({ "n": 2 }))).await.unwrap();
    app.skip(Duration::from_secs(1)).await;
    app.look(new).await.assert_completed();
    let second = ask(IfExists::Attach).await.unwrap();
    assert_eq!((second.is_new, second.task, second.state), (false, first.task, TaskState::Failed));
    let refused = ask(IfExists::Conflict).await.unwrap_err();
    assert!(refused.code() == "E111" && refused.to_string().contains(&first.task.to_string()), "{refused}");
}

#[tokio::test]
async fn a_rerun_that_cannot_be_is_refused() {
    let (app, _) = app(false);
    let task = app.run("t", json!({ "n": 1 })).await.view().row.id;
    let refused = rerun(&app, task, 3, None).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::NoStep { .. })), "{refused}");
    let nowhere = TaskId::from_uuid(uuid::Uuid::from_u128(7 << 24));
    let refused = rerun(&app, nowhere, 0, None).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::NoTask(_))), "{refused}");
}
