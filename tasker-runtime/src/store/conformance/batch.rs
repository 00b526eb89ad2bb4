//! Batches are written and read back, with their workers.

use StepState::{Pending, Running};
use tasker_types::{BatchSpec, FailureStrategy, StepNumber, StepState, StepType, TaskState};

use super::World;
use super::sample::{complete, cut, fail_for_good, finish, retry, template, with_types, worker};
use crate::core::{Outcome, ResolvedTemplate};
use crate::store::{InputRequest, Page, Store, TaskFilter};

const FIRST: Page = Page { before: None, limit: 10 };

/// 0 makes workers after 1, a bounded number at once, and 2 waits for them.
fn batches(parallelism: Option<u32>) -> ResolvedTemplate {
    batches_that(parallelism, FailureStrategy::FailFast)
}

/// The same, with what a failure of one worker means for the others.
fn batches_that(parallelism: Option<u32>, failure_strategy: FailureStrategy) -> ResolvedTemplate {
    let types = [(0, StepType::Batchable), (1, StepType::BatchWorker)];
    let mut batches = with_types(template("batches", &[&[], &[0], &[1]]), &types);
    batches.template.steps[0].batch = Some(BatchSpec { parallelism, failure_strategy });
    batches
}

pub async fn workers_of_a_batch_run_a_bounded_number_at_once(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, batches(Some(2))).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact_with(worker(1), 10, vec![cut(&claim, 5)]).await;
    let mut claims = committed.claimed;
    assert_eq!(claims.len(), 2);
    let row = w.rows.batches[0];
    assert_eq!((row.number, row.count, row.next, row.in_flight, row.failed), (StepNumber(1), 5, 2, 2, 0));
    let (view, listed) =
        (store.find_task(id).await.unwrap().unwrap(), store.list_tasks(TaskFilter::default(), FIRST).await.unwrap());
    let states: Vec<StepState> = view.steps[2..].iter().map(|step| step.state).collect();
    assert_eq!(states, [Running, Running, Pending, Pending, Pending], "those that were not begun are there");
    assert_eq!((view.steps.len(), listed[0].total_steps), (7, 7));
    for _ in 0..3 {
        let ended = claims.remove(0);
        claims.extend(w.transact_with(worker(1), 10, vec![complete(&ended)]).await.claimed);
        assert_eq!(claims.len(), 2);
    }
    let committed = w.transact_with(worker(1), 10, claims.iter().map(complete).collect()).await;
    assert_eq!(committed.claimed.iter().map(|claim| claim.live.number).collect::<Vec<_>>(), [StepNumber(2)]);
    w.one(complete(&committed.claimed[0])).await.unwrap();
    assert_eq!((w.task_state(id), w.rows.batches[0].next), (TaskState::Completed, 5));
    let view = store.find_task(id).await.unwrap().unwrap();
    let names: Vec<&str> = view.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["step_0", "step_2", "step_1_001", "step_1_002", "step_1_003", "step_1_004", "step_1_005"]);
}

pub async fn a_failed_worker_holds_the_batch_up_until_it_is_retried(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, batches(None)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 3)).await.unwrap();
    let claims = w.claim(worker(1), 1).await;
    w.one(fail_for_good(&claims[0])).await.unwrap();
    assert_eq!((w.task_state(id), w.rows.live.len(), w.rows.batches[0].failed), (TaskState::Failed, 3, 1));
    assert!(w.rows.live.iter().all(|row| row.state == Pending));
    w.one(retry(id, 1)).await.unwrap();
    let claims = w.claim(worker(1), 100).await;
    assert_eq!(claims.len(), 3);
    w.transact(claims.iter().map(complete).collect()).await;
    let last = w.claim_one(worker(1)).await;
    w.one(complete(&last)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

pub async fn who_waits_for_a_batch_is_given_the_results_of_all_workers(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, batches(None)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 600)).await.unwrap();
    let claims = w.claim(worker(1), 1_000).await;
    w.transact(claims[..599].iter().map(complete).collect()).await;
    let wanted = InputRequest {
        task: id,
        context: false,
        results: vec![StepNumber(0)],
        workers_from: Some(StepNumber(3)),
        checkpoint_of: None,
    };
    let given = store.inputs(vec![wanted.clone()]).await.unwrap().remove(0);
    assert_eq!(given.results.len(), 600);
    w.one(complete(&claims[599])).await.unwrap();
    let given = store.inputs(vec![wanted]).await.unwrap().remove(0);
    assert!(given.results.len() == 601 && given.results.values().all(Option::is_some));
}

pub async fn the_others_run_to_their_end_where_a_failure_stops_nobody(store: &dyn Store) {
    let mut w = World::new(store);
    for (number, strategy, failed, state) in [
        (1, FailureStrategy::ContinueOnFailure, StepState::Skipped, TaskState::Completed),
        (2, FailureStrategy::Isolate, StepState::Failed, TaskState::Failed),
    ] {
        let mut batches = batches_that(Some(1), strategy);
        batches.template.name = format!("batches_{number}");
        let id = w.start(number, batches).await;
        let claim = w.claim_one(worker(1)).await;
        w.one(cut(&claim, 3)).await.unwrap();
        let claim = w.claim_one(worker(1)).await;
        w.one(fail_for_good(&claim)).await.unwrap();
        assert_eq!(w.result(id, 3).unwrap().outcome, failed, "{strategy:?}");
        for of in [4, 5] {
            let claim = w.claim_one(worker(1)).await;
            assert_eq!(claim.live.number, StepNumber(of), "{strategy:?}: one after the other");
            w.one(complete(&claim)).await.unwrap();
        }
        for claim in w.claim(worker(1), 10).await {
            assert_eq!(claim.live.number, StepNumber(2));
            w.one(complete(&claim)).await.unwrap();
        }
        assert_eq!(w.task_state(id), state, "{strategy:?}");
    }
}

pub async fn who_waits_for_a_batch_goes_on_where_there_is_nothing_to_do(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, batches(None)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(finish(&claim, Outcome::Cut { result: "{}".into(), detail: None, workers: None })).await.unwrap();
    assert_eq!(w.states(id), [StepState::Completed, StepState::Skipped, StepState::Ready]);
    assert_eq!(w.rows.batches, []);
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}
