//! A step cuts its work into batches: each worker is given its own piece, and one step is given what all of them made.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tasker_runtime::core::check;
use tasker_runtime::engine::{Engine, Options};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::{MemoryStore, Store};
use tasker_runtime::testing::{MockHandler, TestApp};
use tasker_types::{
    BatchAggregationScenario, BatchProcessingOutcome, BatchWorkerContext, CursorConfig, StepError, StepState,
    TaskRequest, TaskSequenceStep, TaskState, template,
};

use crate::engine_on;

type Answer = anyhow::Result<Value>;

/// Items of one worker.
const SIZE: u64 = 200;

/// Three steps: one cuts, one is what the workers are made after, one gathers.
fn yaml(strategy: &str) -> String {
    format!(
        "
name: batches
steps:
  - name: analyze
    type: batchable
    batch_config: {{ parallelism: 2, failure_strategy: {strategy} }}
  - name: process_batch
    type: batch_worker
    dependencies: [analyze]
  - name: aggregate
    dependencies: [process_batch]
"
    )
}

/// As many batches as the task's items need.
fn analyze(step: &TaskSequenceStep) -> Answer {
    let total: u64 = step.get_input("items")?;
    let count = u32::try_from(total.div_ceil(SIZE))?;
    let cursors = (0..count).map(|index| {
        let start = u64::from(index) * SIZE;
        let end = total.min(start + SIZE);
        CursorConfig {
            batch_id: format!("{:03}", index + 1),
            start_cursor: json!(start),
            end_cursor: json!(end),
            batch_size: u32::try_from(end - start).unwrap_or(u32::MAX),
        }
    });
    let outcome = match count {
        0 => BatchProcessingOutcome::no_batches(),
        _ => BatchProcessingOutcome::create_batches("process_batch".to_owned(), count, cursors.collect(), total),
    };
    Ok(json!({ "batch_processing_outcome": outcome.to_value(), "total_items": total }))
}

/// What the worker was given, and which step it is.
fn process(step: &TaskSequenceStep) -> Answer {
    let context = BatchWorkerContext::from_step_data(step)?;
    anyhow::ensure!(!context.is_no_op(), "a worker without a piece");
    Ok(json!([step.workflow_step.name, context.batch_id(), context.start_position(), context.end_position()]))
}

/// What is found of the workers.
fn aggregate(step: &TaskSequenceStep) -> Answer {
    match BatchAggregationScenario::detect(&step.dependency_results, "analyze", "process_batch_")? {
        BatchAggregationScenario::NoBatches { batchable_result } => {
            Ok(json!({ "none_of": batchable_result.result["total_items"] }))
        }
        BatchAggregationScenario::WithBatches { batch_results, worker_count } => {
            let results: Vec<Value> =
                batch_results.into_iter().map(|(name, found)| json!([name, found.result])).collect();
            Ok(json!({ "workers": worker_count, "results": results }))
        }
    }
}

fn app(strategy: &str) -> TestApp {
    TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(yaml(strategy))
        .mock("analyze", analyze)
        .mock("process_batch", process)
        .mock("aggregate", aggregate)
}

/// What the workers of 500 items make, as who gathers finds it.
fn all_of_500() -> Value {
    json!({ "workers": 3, "results": [
        ["process_batch_001", ["process_batch_001", "001", 0, 200]],
        ["process_batch_002", ["process_batch_002", "002", 200, 400]],
        ["process_batch_003", ["process_batch_003", "003", 400, 500]],
    ] })
}

#[tokio::test]
async fn each_worker_is_given_its_own_piece_and_who_gathers_is_given_all_results() {
    let run = app("fail_fast").run("batches", json!({ "items": 500 })).await;
    run.assert_completed().assert_result("aggregate", &all_of_500());
    let names: Vec<&str> = run.view().steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["analyze", "aggregate", "process_batch_001", "process_batch_002", "process_batch_003"]);
    run.assert_order(["analyze", "process_batch_001", "aggregate"]).assert_order(["process_batch_003", "aggregate"]);
}

#[tokio::test]
async fn who_gathers_runs_where_there_are_no_batches() {
    let run = app("fail_fast").run("batches", json!({ "items": 0 })).await;
    run.assert_completed().assert_result("aggregate", &json!({ "none_of": 0 }));
    run.assert_step("process_batch", StepState::Skipped);
}

#[tokio::test]
async fn a_result_that_cannot_be_cut_by_fails_its_step_for_good() {
    let run = app("fail_fast").mock("analyze", |_| Ok(json!({ "total_items": 3 }))).run("batches", json!({})).await;
    run.assert_failed().assert_step("analyze", StepState::Failed).assert_step("aggregate", StepState::Pending);
    let step = run.step("analyze");
    let detail = step.detail.as_ref().unwrap();
    assert_eq!((step.attempt, &detail["error_code"]), (1, &json!("BAD_BATCHES")));
    let message = detail["message"].as_str().unwrap();
    assert!(message.contains("`batch_processing_outcome`"), "{message}");
}

#[tokio::test]
async fn a_worker_that_is_passed_over_is_missing_where_the_others_are_gathered() {
    let run = app("continue_on_failure")
        .mock("process_batch", |step| match step.workflow_step.name.as_str() {
            "process_batch_002" => Err(StepError::permanent("its rows are broken").into()),
            _ => process(step),
        })
        .run("batches", json!({ "items": 500 }))
        .await;
    let mut rest = all_of_500();
    rest["workers"] = json!(2);
    rest["results"].as_array_mut().unwrap().remove(1);
    run.assert_completed().assert_result("aggregate", &rest).assert_step("process_batch_002", StepState::Skipped);
}

#[tokio::test]
async fn a_worker_that_is_tried_again_is_given_the_same_piece() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let failed = AtomicBool::new(false);
    let run = app("fail_fast")
        .mock("process_batch", move |step| {
            let is_second = step.workflow_step.name == "process_batch_002";
            anyhow::ensure!(!is_second || failed.swap(true, Ordering::SeqCst), "not yet");
            process(step)
        })
        .run("batches", json!({ "items": 500 }))
        .await;
    run.assert_completed().assert_result("aggregate", &all_of_500());
    assert_eq!(run.step("process_batch_002").attempt, 2);
}

#[tokio::test]
async fn a_task_with_batches_comes_to_the_same_end_whenever_the_worker_dies() {
    let crashes = app("fail_fast").crash_at_every_commit("batches", json!({ "items": 500 })).await;
    crashes.assert_completed().assert_same_end();
    for crash in crashes.iter() {
        assert_eq!(crash.run().result("aggregate"), &all_of_500(), "{}", crash.what());
    }
}

/// A handler by its name.
type Named = (&'static str, fn(&TaskSequenceStep) -> Answer);

const HANDLERS: [Named; 3] = [("analyze", analyze), ("process_batch", process), ("aggregate", aggregate)];

/// A process that has these handlers and no others: what other processes made it reads from the store.
fn process_with(store: &Arc<MemoryStore>, handlers: &[Named]) -> Engine {
    let mut registry = RustStepHandlerRegistry::empty();
    for &(name, run) in handlers {
        registry.register(name, move || Box::new(MockHandler::new(name.into(), Arc::new(run))));
    }
    let lease = Some(Duration::from_secs(30));
    engine_on(store.clone(), registry, Options { lease, retention: None, ..Options::default() })
}

#[tokio::test(start_paused = true)]
async fn pieces_and_results_of_another_process_are_read_from_the_store() {
    let store = Arc::new(MemoryStore::new());
    let client = process_with(&store, &HANDLERS);
    client.add_template(template::parse("t.yaml", &yaml("fail_fast")).unwrap().template).await.unwrap();
    let request =
        TaskRequest { name: "batches".to_owned(), context: json!({ "items": 500 }), ..TaskRequest::default() };
    let task = client.submit(request).await.unwrap();
    let mut workers = Vec::new();
    for handler in HANDLERS {
        let engine = process_with(&store, &[handler]);
        engine.start_worker().await.unwrap();
        workers.push(engine);
    }
    let over = tokio::time::timeout(Duration::from_secs(600), client.wait(task)).await;
    assert_eq!(over.unwrap().unwrap(), TaskState::Completed);
    let view = store.find_task(task).await.unwrap().unwrap();
    let gathered = view.steps.iter().find(|step| step.name == "aggregate").unwrap();
    assert_eq!(gathered.result, Some(all_of_500()));
    let ran_in: BTreeSet<_> = view.steps.iter().map(|step| step.worker).collect();
    assert_eq!(ran_in.len(), 3, "each handler has a process of its own");
    assert_eq!(check(&store.dump(None, 100).await.unwrap()), []);
}
