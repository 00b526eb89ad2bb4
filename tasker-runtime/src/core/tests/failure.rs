use std::time::Duration;

use tasker_types::{Backoff, StepState, TaskState, Timestamp};

use crate::core::{AttemptOutcome, Cause, Failure, Outcome, ResolvedTemplate};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{chain, complete, fail, fail_for_good, failure, finish, roots, worker};

fn policy(max_attempts: u32, base_ms: u64, max_ms: u64) -> ResolvedTemplate {
    let mut template = chain(2);
    let retry = &mut template.steps[0].retry;
    (retry.max_attempts, retry.backoff_base_ms, retry.max_backoff_ms) = (max_attempts, base_ms, max_ms);
    template
}

fn after(now: Timestamp, delay: Duration) -> Timestamp {
    now + delay
}

#[tokio::test]
async fn a_failed_step_waits_for_its_backoff() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, policy(3, 1_000, 60_000)).await;
    let claim = w.claim_one(worker(1)).await;
    w.pass(10);
    w.one(fail(&claim)).await.unwrap();
    let row = w.live(id, 0).unwrap();
    let delay = claim.pinned.steps[0].retry.delay(1, failure().seed);
    assert_eq!((row.state, row.failures, row.attempt), (StepState::WaitingForRetry, 1, 1));
    assert_eq!(row.ready_at, after(w.now, delay));
    assert_eq!((row.claimed_by, row.claimed_at), (None, None));
    assert_eq!(w.task_state(id), TaskState::Running);
    assert_eq!(w.task(id).runnable, 1);
    assert!(w.claim(worker(1), 100).await.is_empty(), "it is not ready yet");
}

#[tokio::test]
async fn a_failed_attempt_is_kept_with_its_error() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, policy(3, 1_000, 60_000)).await;
    let claim = w.claim_one(worker(1)).await;
    w.pass(10);
    w.one(fail(&claim)).await.unwrap();
    let [row] = w.rows.attempts.as_slice() else { panic!("one attempt: {:?}", w.rows.attempts) };
    assert_eq!((row.attempt, row.outcome, row.worker), (1, AttemptOutcome::Failed, Some(worker(1))));
    assert_eq!((row.claimed_at, row.finished_at), (claim.live.claimed_at, w.now));
    assert_eq!(row.detail, Some(failure().detail));
    assert_eq!(row.retry_at, Some(w.rows.live[0].ready_at));
}

#[tokio::test]
async fn delays_grow_as_the_backoff_says() {
    let mut template = policy(5, 100, 350);
    template.steps[0].retry.backoff = Backoff::Exponential;
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template).await;
    for failures in 1..5 {
        let claim = w.claim_one(worker(1)).await;
        assert_eq!(claim.live.attempt, failures);
        w.one(fail(&claim)).await.unwrap();
        let (shortest, longest) = claim.pinned.steps[0].retry.delay_range(failures);
        let waits = w.live(id, 0).unwrap().ready_at.since(w.now);
        assert!((shortest..=longest).contains(&waits), "after {failures} failures: {waits:?}");
        w.pass(350);
        assert_eq!(w.due().await.ready, 1);
    }
}

#[tokio::test]
async fn a_handlers_own_delay_is_honoured_up_to_the_longest_backoff() {
    for (asked_ms, waits_ms) in [(5_000, 5_000), (90_000, 60_000)] {
        let store = MemoryStore::new();
        let mut w = World::new(&store);
        let id = w.start(1, policy(3, 1_000, 60_000)).await;
        let claim = w.claim_one(worker(1)).await;
        let retry_after = Some(Duration::from_millis(asked_ms));
        w.one(finish(&claim, Outcome::Failed(Failure { retry_after, ..failure() }))).await.unwrap();
        assert_eq!(w.live(id, 0).unwrap().ready_at, after(w.now, Duration::from_millis(waits_ms)));
    }
}

#[tokio::test]
async fn a_handlers_own_delay_never_shortens_the_backoff() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, policy(3, 1_000, 60_000)).await;
    let claim = w.claim_one(worker(1)).await;
    let retry_after = Some(Duration::from_millis(1));
    w.one(finish(&claim, Outcome::Failed(Failure { retry_after, ..failure() }))).await.unwrap();
    assert_eq!(w.live(id, 0).unwrap().ready_at, after(w.now, claim.pinned.steps[0].retry.delay(1, failure().seed)));
}

#[tokio::test]
async fn the_last_of_its_attempts_fails_the_step_and_the_task() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, policy(2, 100, 100)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    w.pass(200);
    w.due().await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    let row = w.result(id, 0).unwrap();
    assert_eq!((row.outcome, row.cause, row.attempt), (StepState::Failed, Cause::Handler, 2));
    assert_eq!((row.result.as_deref(), &row.detail), (None, &Some(failure().detail)));
    assert_eq!((w.task_state(id), w.task(id).finished_at), (TaskState::Failed, Some(w.now)));
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (2, 0));
    assert_eq!(w.states(id), [StepState::Failed, StepState::Pending]);
}

#[tokio::test]
async fn a_failure_that_is_not_retryable_is_not_tried_again() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, policy(3, 1_000, 60_000)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    assert_eq!(w.states(id)[0], StepState::Failed);
    assert_eq!(w.rows.attempts, [], "the attempt ended its step");
}

#[tokio::test]
async fn a_step_that_may_not_be_retried_fails_at_its_first_failure() {
    let mut template = policy(3, 1_000, 60_000);
    template.steps[0].retry.retryable = false;
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    assert_eq!(w.states(id)[0], StepState::Failed);
}

#[tokio::test]
async fn a_timeout_is_tried_again_and_recorded_as_one() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, policy(2, 100, 100)).await;
    for last in [false, true] {
        let claim = w.claim_one(worker(1)).await;
        w.one(finish(&claim, Outcome::Failed(Failure { timed_out: true, ..failure() }))).await.unwrap();
        if !last {
            assert_eq!(w.rows.attempts[0].outcome, AttemptOutcome::TimedOut);
            assert_eq!(w.live(id, 0).unwrap().failures, 1);
            w.pass(200);
            w.due().await;
        }
    }
    assert_eq!(w.states(id)[0], StepState::Failed);
}

#[tokio::test]
async fn a_step_that_succeeds_after_a_failure_completes() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, policy(2, 100, 100)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    w.pass(200);
    w.due().await;
    let claim = w.claim_one(worker(2)).await;
    assert_eq!((claim.live.attempt, claim.live.failures), (2, 1));
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.result(id, 0).unwrap().attempt, 2);
    assert_eq!(w.states(id), [StepState::Completed, StepState::Ready]);
}

#[tokio::test]
async fn other_branches_run_to_their_end_before_the_task_fails() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 100).await;
    let committed = w.transact(vec![fail_for_good(&claims[0])]).await;
    assert_eq!((w.task_state(id), committed.finished.len()), (TaskState::Running, 0));
    let committed = w.transact(vec![complete(&claims[1])]).await;
    assert_eq!((w.task_state(id), committed.finished.len()), (TaskState::Failed, 1));
}

#[tokio::test]
async fn a_step_that_waits_for_its_retry_keeps_the_task_open() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![fail(&claims[0]), complete(&claims[1])]).await;
    assert_eq!(w.states(id), [StepState::WaitingForRetry, StepState::Completed]);
    assert_eq!(w.task_state(id), TaskState::Running);
}

#[tokio::test]
async fn a_step_that_stops_as_cancelled_in_a_task_that_is_not_fails() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(finish(&claim, Outcome::Cancelled)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Failed], "an operator can have it tried again");
    assert!(w.result(id, 0).unwrap().detail.as_deref().unwrap().contains("cancelled"));
}
