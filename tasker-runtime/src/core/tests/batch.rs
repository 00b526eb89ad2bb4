use serde_json::json;
use tasker_types::{BatchSpec, FailureStrategy, StepNumber, StepState, StepType, TaskState};

use FailureStrategy::{ContinueOnFailure, FailFast, Isolate};
use StepState::{Completed, Failed, Pending, Ready, Running, Skipped};

use crate::core::{Act, ByHand, Cause, Outcome, Pinned, ResolvedTemplate, cut as cut_of};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    act, cancel, complete, cut, fail, fail_for_good, finish, retry, template, with_types, worker,
};

/// 0 makes workers after 1, and 2 waits for them.
fn batches(parallelism: Option<u32>, failure_strategy: FailureStrategy) -> ResolvedTemplate {
    let types = [(0, StepType::Batchable), (1, StepType::BatchWorker)];
    let mut batches = with_types(template("batches", &[&[], &[0], &[1]]), &types);
    batches.template.steps[0].batch = Some(BatchSpec { parallelism, failure_strategy });
    batches
}

/// The states of the workers of which there is a row, in their order.
fn workers(w: &World<'_, MemoryStore>) -> Vec<StepState> {
    let live = w.rows.live.iter().filter(|row| row.number.0 >= 3).map(|row| (row.number, row.state));
    let over = w.rows.results.iter().filter(|row| row.number.0 >= 3).map(|row| (row.number, row.outcome));
    let mut all: Vec<_> = live.chain(over).collect();
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, state)| state).collect()
}

#[tokio::test]
async fn a_worker_is_made_for_each_piece_and_one_step_waits_for_all_of_them() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, batches(None, FailFast)).await;
    let claim = w.claim_one(worker(1)).await;
    assert_eq!(w.transact(vec![cut(&claim, 3)]).await.ready, 3);
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (4, 3));
    assert_eq!((w.live(id, 1), w.live(id, 2).unwrap().unmet), (None, 3));
    let claims = w.claim(worker(1), 100).await;
    assert_eq!(claims.iter().map(|claim| claim.live.number.0).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(&*claims[1].pinned.name(claims[1].live.number), "step_1_002");
    w.transact(claims[..2].iter().map(complete).collect()).await;
    assert_eq!(w.states(id)[2], Pending);
    w.one(complete(&claims[2])).await.unwrap();
    let last = w.claim_one(worker(1)).await;
    assert_eq!(last.live.number, StepNumber(2));
    w.one(complete(&last)).await.unwrap();
    assert_eq!((w.task_state(id), w.task(id).open_steps), (TaskState::Completed, 0));
}

#[tokio::test]
async fn without_batches_the_step_that_waits_runs_at_once() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, batches(None, FailFast)).await;
    let claim = w.claim_one(worker(1)).await;
    let result = json!({ "type": "no_batches" }).to_string().into();
    w.one(finish(&claim, Outcome::Cut { result, detail: None, workers: None })).await.unwrap();
    assert_eq!(w.states(id), [Completed, Skipped, Ready]);
    assert_eq!(w.result(id, 1).unwrap().cause, Cause::Handler);
    let last = w.claim_one(worker(1)).await;
    w.one(complete(&last)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn no_more_workers_are_under_way_than_may_be() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, batches(Some(2), FailFast)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 5)).await.unwrap();
    let mut seen = 0;
    for left in (0..5).rev() {
        let claims = w.claim(worker(1), 1).await;
        seen += claims.len();
        let under_way = workers(&w).iter().filter(|state| !state.is_over()).count();
        assert_eq!(under_way, 2.min(left + 1));
        w.one(complete(&claims[0])).await.unwrap();
    }
    assert_eq!((seen, workers(&w)), (5, vec![Completed; 5]));
}

#[tokio::test]
async fn a_worker_that_waits_for_its_retry_keeps_its_place() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, batches(Some(1), FailFast)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 2)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    assert_eq!(workers(&w), [StepState::WaitingForRetry]);
}

#[tokio::test]
async fn fail_fast_holds_up_what_waits_until_the_failed_one_is_retried() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, batches(Some(3), FailFast)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 5)).await.unwrap();
    let claims = w.claim(worker(1), 2).await;
    w.one(fail_for_good(&claims[0])).await.unwrap();
    assert_eq!(workers(&w), [Failed, Running, Pending]);
    // One that runs goes on to its end, and no other begins.
    w.one(fail(&claims[1])).await.unwrap();
    assert_eq!((workers(&w), w.task_state(id)), (vec![Failed, Pending, Pending], TaskState::Failed));
    w.one(retry(id, 1)).await.unwrap();
    assert_eq!((workers(&w), w.task(id).runnable), (vec![Ready; 3], 3));
    for _ in 0..6 {
        w.pass(60_000);
        let claims = w.claim(worker(1), 100).await;
        w.transact(claims.iter().map(complete).collect()).await;
    }
    assert_eq!((workers(&w), w.task_state(id)), (vec![Completed; 5], TaskState::Completed));
}

#[tokio::test]
async fn isolate_lets_the_others_come_to_their_end() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, batches(Some(1), Isolate)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 3)).await.unwrap();
    for end in [complete, fail_for_good, complete] {
        let claim = w.claim_one(worker(1)).await;
        w.one(end(&claim)).await.unwrap();
    }
    assert_eq!((workers(&w), w.states(id)[2]), (vec![Completed, Failed, Completed], Pending));
    assert_eq!(w.task_state(id), TaskState::Failed);
    w.one(retry(id, 1)).await.unwrap();
    for _ in 0..2 {
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
    }
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_retry_takes_up_all_that_failed_at_once() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, batches(Some(1), Isolate)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 3)).await.unwrap();
    for end in [fail_for_good, fail_for_good, complete] {
        let claim = w.claim_one(worker(1)).await;
        w.one(end(&claim)).await.unwrap();
    }
    w.one(retry(id, 1)).await.unwrap();
    assert_eq!(workers(&w), [Ready, Ready, Completed]);
}

#[tokio::test]
async fn continue_on_failure_passes_a_worker_over_that_failed() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, batches(Some(1), ContinueOnFailure)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 2)).await.unwrap();
    for end in [fail_for_good, complete, complete] {
        let claim = w.claim_one(worker(1)).await;
        w.one(end(&claim)).await.unwrap();
    }
    assert_eq!((workers(&w), w.task_state(id)), (vec![Skipped, Completed], TaskState::Completed));
}

#[tokio::test]
async fn a_failed_worker_that_is_ended_by_hand_lets_the_batch_go_on() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, batches(Some(1), FailFast)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 2)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Failed);
    w.one(act(id, Act::End(StepNumber(3), ByHand::Skip), 1)).await.unwrap();
    assert_eq!((workers(&w), w.task_state(id)), (vec![Skipped, Ready], TaskState::Running));
}

#[tokio::test]
async fn a_cancelled_task_begins_no_further_worker() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, batches(Some(1), FailFast)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 3)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.transact(vec![cancel(id, 1), complete(&claim)]).await;
    assert_eq!((workers(&w), w.task_state(id)), (vec![Completed], TaskState::Cancelled));
}

#[tokio::test]
async fn what_the_result_asks_for_and_cannot_be_is_told() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(batches(None, FailFast)).await;
    let told = |pinned: &Pinned, name: &str, count: u32, cursors: usize| {
        let cursor = json!({ "batch_id": "1", "start_cursor": 0, "end_cursor": 1, "batch_size": 1 });
        let outcome = json!({ "type": "create_batches", "worker_template_name": name, "worker_count": count, "cursor_configs": vec![cursor; cursors], "total_items": 1 });
        cut_of(pinned, StepNumber(0), &json!({ "batch_processing_outcome": outcome }))
    };
    assert_eq!(told(&pinned, "step_1", 2, 2).unwrap().map(|workers| (workers.of.0, workers.count)), Some((1, 2)));
    assert_eq!(told(&pinned, "step_1", 0, 0), Ok(None));
    let no_worker = "`step_2` is no `batch_worker` that depends on `step_0`";
    assert_eq!(told(&pinned, "step_2", 1, 1).unwrap_err(), no_worker);
    assert_eq!(told(&pinned, "step_1", 2, 1).unwrap_err(), "there are to be 2 workers, but 1 cursors are given");
    let many = told(&pinned, "step_1", 20_000, 20_000).unwrap_err();
    assert_eq!(many, "with 20000 workers the task has more than 20000 steps; make larger batches");
    assert!(cut_of(&pinned, StepNumber(0), &json!(7)).is_err());
}

#[tokio::test]
async fn a_number_tells_which_worker_it_is_and_what_it_was_made_after() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let types = [(0, StepType::Batchable), (1, StepType::BatchWorker), (2, StepType::BatchWorker)];
    let pinned = w.pin(with_types(template("two", &[&[], &[0], &[0], &[1, 2]]), &types)).await;
    for (of, index, number, name) in
        [(1, 0, 4, "step_1_001"), (2, 0, 5, "step_2_001"), (1, 1, 6, "step_1_002"), (2, 999, 2003, "step_2_1000")]
    {
        let (of, number) = (StepNumber(of), StepNumber(number));
        assert_eq!(pinned.worker(of, index), Some(number));
        assert_eq!((pinned.template_step(number), pinned.worker_index(number)), (of, Some(index)));
        assert_eq!((&*pinned.name(number), pinned.number(name)), (name, Some(number)));
    }
    assert_eq!((pinned.worker_index(StepNumber(3)), pinned.worker(StepNumber(3), 0)), (None, None));
    for name in ["step_1_1", "step_1_000", "step_0_001", "step_1_", "step_9"] {
        assert_eq!(pinned.number(name), None, "{name}");
    }
}
