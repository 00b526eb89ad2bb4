use tasker_types::{StepNumber, StepState, TaskState};

use crate::core::{AttemptOutcome, Cause, Detail, Refusal};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    cancel, chain, complete, fail, lose, lose_overdue, release, retry, roots, worker,
};

#[tokio::test]
async fn a_lost_step_runs_again_without_using_up_an_attempt() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.pass(10);
    w.one(lose(&claim)).await.unwrap();
    let row = w.live(id, 0).unwrap();
    assert_eq!((row.state, row.failures, row.losses), (StepState::Ready, 0, 1));
    assert_eq!((row.ready_at, row.claimed_by), (w.now, None));
    assert_eq!(w.rows.attempts[0].outcome, AttemptOutcome::Lost);
    let again = w.claim_one(worker(2)).await;
    assert_eq!(again.live.attempt, 2);
    w.one(complete(&again)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_step_that_was_lost_too_often_fails() {
    let mut template = chain(1);
    template.steps[0].retry.max_losses = 3;
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template).await;
    for number in 1..=3 {
        assert_ne!(w.task_state(id), TaskState::Failed);
        let claim = w.claim_one(worker(number)).await;
        w.one(lose(&claim)).await.unwrap();
    }
    let row = w.result(id, 0).unwrap();
    assert_eq!((row.outcome, row.cause, row.attempt), (StepState::Failed, Cause::Losses, 3));
    let detail = Detail::from_json(row.detail.as_deref().unwrap());
    assert_eq!(detail.error_type.as_deref(), Some("worker_lost"));
    assert_eq!(detail.message.as_deref(), Some("the worker died 3 times while it ran this step"));
    assert_eq!(w.task_state(id), TaskState::Failed);
}

#[tokio::test]
async fn a_claim_that_is_held_for_too_long_is_a_loss_that_says_so() {
    let mut template = chain(2);
    template.steps[0].retry.max_losses = 2;
    template.steps[1].retry.retryable = false;
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(lose_overdue(&claim)).await.unwrap();
    let row = w.live(id, 0).unwrap();
    assert_eq!((row.state, row.failures, row.losses, row.claimed_by), (StepState::Ready, 0, 1, None));
    let lost = w.rows.attempts[0].clone();
    let told = Detail::from_json(lost.detail.as_deref().unwrap()).message.unwrap();
    assert_eq!(
        (lost.outcome, &*told),
        (AttemptOutcome::Lost, "no outcome came within the claim timeout of the task's request")
    );
    let late = Refusal::Stale { task: id, number: StepNumber(0), attempt: 1 };
    assert_eq!(w.one(complete(&claim)).await, Err(late), "the outcome that comes after all");
    let again = w.claim_one(worker(1)).await;
    w.one(lose_overdue(&again)).await.unwrap();
    let row = w.result(id, 0).unwrap();
    assert_eq!((row.outcome, row.cause, row.attempt), (StepState::Failed, Cause::Losses, 2));
    let detail = Detail::from_json(row.detail.as_deref().unwrap());
    assert_eq!(detail.error_type.as_deref(), Some("worker_lost"));
    assert!(detail.message.unwrap().ends_with("; the step was lost 2 times"));
    w.one(retry(id, 1)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let once = w.claim_one(worker(1)).await;
    w.one(lose_overdue(&once)).await.unwrap();
    let detail = Detail::from_json(w.result(id, 1).unwrap().detail.as_deref().unwrap());
    assert!(detail.message.unwrap().ends_with(", and the step may not be tried again"));
    assert_eq!(w.task_state(id), TaskState::Failed);
}

#[tokio::test]
async fn a_step_that_may_not_be_retried_is_lost_at_most_once() {
    let mut template = chain(1);
    template.steps[0].retry.retryable = false;
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(lose(&claim)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Failed]);
    let detail = Detail::from_json(w.result(id, 0).unwrap().detail.as_deref().unwrap());
    assert_eq!(detail.error_type.as_deref(), Some("worker_lost"));
    assert!(detail.message.unwrap().contains("may not be tried again"));
}

#[tokio::test]
async fn failures_and_losses_are_counted_apart() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(1)).await;
    for number in 1..=2 {
        let claim = w.claim_one(worker(number)).await;
        w.one(lose(&claim)).await.unwrap();
        let claim = w.claim_one(worker(number)).await;
        w.one(fail(&claim)).await.unwrap();
        w.pass(60_000);
        w.due().await;
    }
    let row = w.live(id, 0).unwrap();
    assert_eq!((row.attempt, row.failures, row.losses), (4, 2, 2));
}

#[tokio::test]
async fn a_released_step_is_ready_again_and_forgiven() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(1)).await;
    for attempt in 1..=5 {
        w.pass(10);
        let claim = w.claim_one(worker(1)).await;
        assert_eq!(claim.live.attempt, attempt);
        w.one(release(&claim)).await.unwrap();
        let row = w.live(id, 0).unwrap();
        assert_eq!((row.state, row.failures, row.losses), (StepState::Ready, 0, 0));
        assert_eq!((row.claimed_by, row.ready_at), (None, w.now));
    }
    assert!(w.rows.attempts.iter().all(|row| row.outcome == AttemptOutcome::Released));
    assert_eq!(w.task_state(id), TaskState::Running);
}

#[tokio::test]
async fn a_release_keeps_what_was_counted_before() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(lose(&claim)).await.unwrap();
    let claim = w.claim_one(worker(2)).await;
    w.one(release(&claim)).await.unwrap();
    assert_eq!(w.live(id, 0).unwrap().losses, 1);
}

#[tokio::test]
async fn a_step_that_is_lost_or_released_while_its_task_is_cancelled_is_cancelled() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 100).await;
    w.one(cancel(id, 1)).await.unwrap();
    w.one(lose(&claims[0])).await.unwrap();
    assert_eq!((w.task_state(id), w.states(id)[0]), (TaskState::Cancelling, StepState::Cancelled));
    w.one(release(&claims[1])).await.unwrap();
    assert_eq!((w.task_state(id), w.states(id)[1]), (TaskState::Cancelled, StepState::Cancelled));
}
