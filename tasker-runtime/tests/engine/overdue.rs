//! Claims that are held for longer than the request of their task allows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tasker_runtime::core::AttemptOutcome;
use tasker_runtime::engine::{Error, Options};
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_runtime::mark::{Mark, marks};
use tasker_runtime::store::{MemoryStore, Store};
use tasker_types::{StepExecutionResult, StepState, TaskRequest, TaskSequenceStep, TaskState, template};

use crate::engine_on;
use crate::lease::{Process, step, together};

fn request(seconds: u64, claim_timeout_seconds: u32) -> TaskRequest {
    let context = json!({ "seconds": seconds });
    let claim_timeout_seconds = Some(claim_timeout_seconds);
    TaskRequest { name: "t".to_owned(), context, claim_timeout_seconds, ..TaskRequest::default() }
}

/// Takes as many seconds as its task says, less with each attempt.
struct Faster;

#[async_trait::async_trait]
impl RustStepHandler for Faster {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "faster"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let seconds: u64 = step.get_input("seconds")?;
        let attempt = step.workflow_step.attempt;
        tokio::time::sleep(Duration::from_secs(seconds / u64::from(attempt))).await;
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(attempt), None))
    }
}

fn engine(store: &Arc<MemoryStore>) -> tasker_runtime::engine::Engine {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("faster", || Box::new(Faster));
    engine_on(store.clone(), registry, Options { slots: 1, ..Options::default() })
}

async fn with_template(store: &Arc<MemoryStore>) -> tasker_runtime::engine::Engine {
    let engine = engine(store);
    let yaml = "name: t\nsteps: [{ name: a, handler: faster, timeout_seconds: 3600 }]";
    engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
    engine.start_worker().await.unwrap();
    engine
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_an_outcome_in_time_is_lost_and_its_slot_is_free() {
    let store = Arc::new(MemoryStore::new());
    let engine = with_template(&store).await;
    let (task, state) = engine.run(request(25, 10)).await.unwrap();
    assert_eq!(state, TaskState::Completed);
    let view = store.find_task(task).await.unwrap().unwrap();
    let a = &view.steps[0];
    assert_eq!((a.attempt, a.losses, a.result.clone()), (3, 2, Some(json!(3))));
    assert_eq!(a.attempts.iter().map(|attempt| attempt.outcome).collect::<Vec<_>>(), [AttemptOutcome::Lost; 2]);
    let took = view.row.finished_at.unwrap().since(view.row.created_at).as_secs();
    assert!((28..=31).contains(&took), "two claims of ten seconds, and one of eight: {took} s");
    assert_eq!(view.input.claim_timeout, Some(Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_never_done_in_time_fails_as_lost() {
    let store = Arc::new(MemoryStore::new());
    let engine = with_template(&store).await;
    let (task, state) = engine.run(request(3_000, 5)).await.unwrap();
    assert_eq!(state, TaskState::Failed);
    let view = store.find_task(task).await.unwrap().unwrap();
    let detail = view.steps[0].detail.clone().unwrap();
    assert_eq!((detail["error_type"].clone(), view.steps[0].losses), (json!("worker_lost"), 3));
    assert!(detail["message"].as_str().unwrap().contains("claim timeout"), "{detail}");
    let run = engine.run(TaskRequest { claim_timeout_seconds: None, ..request(3_000, 1) }).await.unwrap();
    assert_eq!(run.1, TaskState::Completed, "who asks for no such time has none");
}

#[tokio::test(start_paused = true)]
async fn a_claim_timeout_out_of_bounds_is_refused() {
    let store = Arc::new(MemoryStore::new());
    let engine = with_template(&store).await;
    for seconds in [0, 31_536_001, u32::MAX] {
        let refused = engine.submit(request(1, seconds)).await;
        assert!(matches!(&refused, Err(Error::BadRequest(why)) if why.contains("from 1 to 31536000")), "{refused:?}");
    }
    assert_eq!(store.dump(None, 9).await.unwrap().tasks.len(), 0);
}

#[test]
fn another_process_takes_the_claim_back_and_who_runs_the_attempt_gives_it_up() {
    let store = Arc::new(MemoryStore::new());
    // The oldest sweeps.
    let two = Process::start("two", &store, Duration::ZERO);
    let one = Process::start("one", &store, Duration::ZERO);
    let task = one.runtime.block_on(one.engine.submit(request(600, 20))).unwrap();
    let given_up = || marks().iter().find(|(mark, _)| *mark == Mark::LostAttemptGivenUp).unwrap().1;
    let before = given_up();
    together(&one, &two, 19);
    assert_eq!(step(&store, task), (StepState::Running, vec![], None));
    together(&one, &two, 20);
    let (state, attempts, _) = step(&store, task);
    assert_eq!((state, attempts), (StepState::Running, vec![AttemptOutcome::Lost]));
    assert_eq!(given_up(), before + 1, "the first attempt was dropped where it stood");
    together(&one, &two, 60);
    let (state, attempts, _) = step(&store, task);
    assert_eq!((state, attempts), (StepState::Failed, vec![AttemptOutcome::Lost; 2]), "three losses are enough");
}
