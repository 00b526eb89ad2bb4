//! What operators do by hand is held against the same as what handlers do.

use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use tasker_runtime::core::{Act, ByHand, Refusal};
use tasker_runtime::engine::{Acted, Bulk, Error};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::{Page, TaskFilter};
use tasker_runtime::testing::TestApp;
use tasker_types::{StepNumber, StepState, TaskId, TaskState};

const FIRST: StepNumber = StepNumber(0);

/// A decision with two branches, whose handler fails.
async fn undecided() -> (TestApp, TaskId) {
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(
            "name: t\nsteps:\n  - { name: route, type: decision, retry: { retryable: false } }\n  \
             - { name: left, dependencies: [route] }\n  - { name: right, dependencies: [route] }\n",
        )
        .mock("route", |_| bail!("no idea"))
        .mock("left", |step| Ok(step.dependency_results.get("route").map_or(Value::Null, |found| found.result.clone())))
        .mock("right", |_| Ok(json!("right")));
    let task = app.start("t", json!({})).await;
    app.skip(Duration::from_secs(1)).await;
    app.look(task).await.assert_failed();
    (app, task)
}

async fn complete(
    app: &TestApp,
    task: TaskId,
    step: StepNumber,
    result: Value,
    reason: &str,
) -> Result<TaskState, Error> {
    let (engine, reason) = (app.engine().clone(), reason.to_owned());
    let done = app.drive(async move { engine.complete_step(task, step, &result, "ada", &reason).await }).await;
    done.map(|reply| reply.state)
}

#[tokio::test]
async fn a_decision_that_is_completed_by_hand_runs_the_branches_that_its_result_names() {
    let (app, task) = undecided().await;
    let result = json!({ "activated_steps": ["left"] });
    assert_eq!(complete(&app, task, FIRST, result.clone(), "it is clear").await.unwrap(), TaskState::Running);
    app.skip(Duration::from_secs(1)).await;
    let run = app.look(task).await;
    run.assert_completed().assert_step("right", StepState::Skipped).assert_result("left", &result);
}

#[tokio::test]
async fn a_result_by_hand_is_refused_in_the_words_that_a_handler_gets() {
    let (app, task) = undecided().await;
    let told = async |result| complete(&app, task, FIRST, result, "x").await.unwrap_err();
    let error = told(json!({ "activated_steps": ["centre"] })).await;
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (
            "E213",
            "the decision `route` chose `centre`, which is no step after it; its branches begin with `left`, `right`"
        )
    );
    let error = told(json!(1)).await;
    assert!(error.to_string().contains("has a list of names of steps under `activated_steps`"), "{error}");
    let error = told(json!("a\0b")).await;
    assert_eq!(error.to_string(), "the result holds a NUL character, which a database cannot store");
    let error = complete(&app, task, StepNumber(3), json!(1), "x").await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::NoStep { .. })), "{error}");
    app.look(task).await.assert_failed();
}

#[tokio::test]
async fn a_batch_is_cut_by_hand_in_the_words_of_its_handler() {
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(
            "name: t\nsteps:\n  - { name: cut, type: batchable, retry: { retryable: false } }\n  \
             - { name: work, type: batch_worker, dependencies: [cut] }\n  \
             - { name: sum, type: deferred_convergence, dependencies: [work] }\n",
        )
        .mock("cut", |_| anyhow::bail!("the file is not there"))
        .mock("work", |step| Ok(step.workflow_step.inputs["start_cursor"].clone()))
        .mock("sum", |step| Ok(json!(step.dependency_results.len())));
    let task = app.start("t", json!({})).await;
    app.skip(Duration::from_secs(1)).await;
    app.look(task).await.assert_failed();
    let cursor =
        |at: u32| json!({ "batch_id": format!("{at:03}"), "start_cursor": at, "end_cursor": at + 1, "batch_size": 1 });
    let result = |worker: &str| {
        json!({ "batch_processing_outcome": {
            "type": "create_batches", "worker_template_name": worker, "worker_count": 2,
            "cursor_configs": [cursor(0), cursor(1)], "total_items": 2
        } })
    };
    let error = complete(&app, task, FIRST, result("sum"), "x").await.unwrap_err();
    assert!(error.to_string().contains("`sum` is no `batch_worker` that depends on `cut`"), "{error}");
    complete(&app, task, FIRST, result("work"), "it is there now").await.unwrap();
    app.skip(Duration::from_secs(1)).await;
    let run = app.look(task).await;
    run.assert_completed();
    assert_eq!(run.result("sum"), &json!(3));
}

#[tokio::test]
async fn what_is_closed_by_hand_needs_a_reason() {
    let (app, task) = undecided().await;
    for reason in ["", "  "] {
        let engine = app.engine().clone();
        let refused = app
            .drive(async move {
                [
                    engine.skip_step(task, FIRST, "ada", reason).await,
                    engine.resolve_step(task, FIRST, "ada", reason).await,
                    engine.complete_step(task, FIRST, &json!({ "activated_steps": [] }), "ada", reason).await,
                    engine.resolve_task(task, "ada", reason).await,
                ]
            })
            .await;
        for refused in refused {
            assert!(matches!(refused, Err(Error::NoReason(_))), "{refused:?}");
        }
    }
    let engine = app.engine().clone();
    let refused = app.drive(async move { engine.retry(task, None, "ada", &"x".repeat(256)).await }).await;
    assert_eq!(refused.unwrap_err().code(), "E205", "the record takes no more");
    let engine = app.engine().clone();
    let reply = app.drive(async move { engine.resolve_task(task, "ada", "written off").await }).await.unwrap();
    assert_eq!(reply.state, TaskState::ResolvedManually);
}

#[tokio::test]
async fn a_paused_task_starts_nothing_until_it_is_resumed() {
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(
            "name: t\nsteps:\n  - { name: a, retry: { backoff_base_ms: 60000 } }\n  - { name: b, dependencies: [a] }\n",
        )
        .mock("a", {
            let failed = std::sync::atomic::AtomicBool::new(false);
            move |_| {
                if failed.swap(true, std::sync::atomic::Ordering::SeqCst) { Ok(json!(1)) } else { bail!("not yet") }
            }
        })
        .mock("b", |_| Ok(json!(2)));
    let task = app.start("t", json!({})).await;
    app.skip(Duration::from_secs(1)).await;
    let engine = app.engine().clone();
    app.drive(async move { engine.pause(task, "ada", "").await }).await.unwrap();
    app.skip(Duration::from_secs(3600)).await;
    let run = app.look(task).await;
    run.assert_step("a", StepState::WaitingForRetry);
    assert_eq!(run.state(), TaskState::Paused);
    let engine = app.engine().clone();
    let reply = app.drive(async move { engine.resume(task, "ada", "").await }).await.unwrap();
    assert_eq!(reply.state, TaskState::Running);
    app.skip(Duration::from_secs(1)).await;
    app.look(task).await.assert_completed();
}

/// Tasks whose only step waits an hour for its retry.
async fn waiting(count: usize) -> (TestApp, Vec<TaskId>) {
    let retry = "retry: { max_attempts: 9, backoff_base_ms: 3600000, max_backoff_ms: 3600000 }";
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(format!("name: t\nsteps: [{{ name: a, {retry} }}]\n"))
        .mock("a", |_| bail!("not yet"));
    let mut tasks = Vec::new();
    for _ in 0..count {
        tasks.push(app.start("t", json!({})).await);
    }
    tasks.sort();
    (app, tasks)
}

fn bulk(states: &[TaskState], act: Act) -> Bulk {
    let filter = TaskFilter { states: states.to_vec(), ..TaskFilter::default() };
    Bulk::new(filter, act, "ada", "a holiday").unwrap()
}

async fn act_on_all(app: &TestApp, bulk: Bulk) -> (Vec<TaskId>, Vec<(TaskId, &'static str)>) {
    let engine = app.engine().clone();
    app.drive(async move {
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        let tell = |(task, answer): &Acted| match answer {
            Ok(_) => done.push(*task),
            Err(error) => refused.push((*task, error.code())),
        };
        engine.act_on_all(&bulk, tell).await.unwrap();
        (done, refused)
    })
    .await
}

#[tokio::test]
async fn every_task_that_is_meant_is_acted_on_once_with_a_record_of_its_own() {
    let (app, tasks) = waiting(150).await;
    let (mut done, refused) = act_on_all(&app, bulk(&[], Act::Pause)).await;
    done.sort();
    assert_eq!((&done, refused.len()), (&tasks, 0));
    for &task in &tasks {
        let run = app.look(task).await;
        assert_eq!(run.state(), TaskState::Paused);
        let actions: Vec<_> = run.view().actions.iter().map(|action| (action.kind, action.reason.as_str())).collect();
        assert_eq!(actions, [("pause", "a holiday")]);
    }
    assert_eq!(act_on_all(&app, bulk(&[], Act::Pause)).await, (vec![], vec![]), "what is paused is not meant");
    let (done, refused) = act_on_all(&app, bulk(&[TaskState::Paused], Act::Pause)).await;
    assert_eq!((done.len(), refused.len(), refused[0].1), (0, 150, "E104"), "unless it is asked for");
    assert_eq!(act_on_all(&app, bulk(&[], Act::Resume)).await.0.len(), 150);
    assert_eq!(act_on_all(&app, bulk(&[], Act::Cancel)).await.0.len(), 150);
}

#[tokio::test]
async fn what_is_accepted_while_all_are_acted_on_is_left_alone() {
    let (app, tasks) = waiting(5).await;
    let (mut before, mut acted, mut pages, mut later) = (None, Vec::new(), 0, Vec::new());
    loop {
        let engine = app.engine().clone();
        let page = Page { before, limit: 2 };
        let done = app.drive(async move { engine.act_on_page(&bulk(&[], Act::Cancel), page).await }).await.unwrap();
        let Some((last, _)) = done.last() else { break };
        before = Some(*last);
        pages += 1;
        assert!(pages <= 3, "it does not end");
        acted.extend(done.iter().map(|(task, _)| *task));
        later.push(app.start("t", json!({})).await);
    }
    acted.reverse();
    assert_eq!(acted, tasks);
    for task in later {
        assert_ne!(app.look(task).await.state(), TaskState::Cancelled);
    }
}

#[tokio::test]
async fn what_can_only_be_done_to_one_step_is_not_done_to_many_tasks() {
    let filter = TaskFilter::default;
    for act in [Act::Retry(Some(FIRST)), Act::End(FIRST, ByHand::Skip)] {
        assert_eq!(Bulk::new(filter(), act, "ada", "x").unwrap_err().code(), "E205");
    }
    assert_eq!(Bulk::new(filter(), Act::Resolve, "ada", "").unwrap_err().code(), "E212");
}
