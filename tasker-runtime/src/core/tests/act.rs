use tasker_types::{StepNumber, StepState, TaskState};

use crate::core::{AttemptOutcome, Cause, Outcome, Refusal};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    cancel, chain, complete, fail, fail_for_good, fan, finish, lose, retry, retry_step, roots, stamp, submit, task,
    template, worker,
};

#[tokio::test]
async fn a_pending_task_is_cancelled_at_once() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(2)).await;
    w.pass(10);
    let committed = w.transact(vec![cancel(id, 1)]).await;
    assert_eq!(committed.finished.len(), 1);
    assert_eq!((w.task_state(id), w.task(id).finished_at), (TaskState::Cancelled, Some(w.now)));
    assert_eq!(w.states(id), [StepState::Cancelled, StepState::Pending]);
    assert_eq!(w.result(id, 0).unwrap().cause, Cause::Operator);
    assert_eq!(w.rows.live, []);
}

#[tokio::test]
async fn an_action_is_kept_with_its_actor_and_reason() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(2)).await;
    w.pass(10);
    w.one(cancel(id, 1)).await.unwrap();
    let [action] = w.rows.actions.as_slice() else { panic!("one action: {:?}", w.rows.actions) };
    assert_eq!((action.kind, action.actor.as_str(), action.reason.as_str()), ("cancel", "ada", "it was asked for"));
    assert_eq!((action.task, action.number, action.at), (id, None, w.now));
}

#[tokio::test]
async fn ready_and_waiting_steps_are_cancelled_with_their_task() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    // 3 has one of two parents; 2 waits for its retry; 1 is ready.
    let id = w.start(1, template("mixed", &[&[], &[0], &[], &[0, 2]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1])]).await;
    assert_eq!(w.states(id), [StepState::Completed, StepState::Ready, StepState::WaitingForRetry, StepState::Pending]);
    w.one(cancel(id, 1)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Cancelled);
    assert_eq!(w.states(id), [StepState::Completed, StepState::Cancelled, StepState::Cancelled, StepState::Pending]);
    assert_eq!(w.rows.live, [], "what never was ready goes with its task");
}

#[tokio::test]
async fn a_task_with_a_running_step_is_cancelling_until_that_stops() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact(vec![cancel(id, 1)]).await;
    assert_eq!((w.task_state(id), committed.finished.len()), (TaskState::Cancelling, 0));
    assert_eq!((w.task(id).runnable, w.task(id).finished_at), (1, None));
    w.pass(10);
    let committed = w.transact(vec![finish(&claim, Outcome::Cancelled)]).await;
    assert_eq!((w.task_state(id), committed.finished.len()), (TaskState::Cancelled, 1));
    assert_eq!(w.task(id).finished_at, Some(w.now));
    assert_eq!(w.states(id), [StepState::Cancelled, StepState::Pending]);
}

#[tokio::test]
async fn a_result_that_arrives_while_its_task_is_cancelled_is_kept_and_starts_nothing() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cancel(id, 1)).await.unwrap();
    let committed = w.transact_with(worker(1), 10, vec![complete(&claim)]).await;
    assert_eq!((committed.ready, committed.claimed.len()), (0, 0));
    assert_eq!(w.states(id), [StepState::Completed, StepState::Pending]);
    assert_eq!(w.task_state(id), TaskState::Cancelled);
}

#[tokio::test]
async fn a_cancelled_task_stays_so_when_its_last_step_completes() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cancel(id, 1)).await.unwrap();
    w.one(complete(&claim)).await.unwrap();
    assert_eq!((w.task_state(id), w.task(id).open_steps), (TaskState::Cancelled, 0));
}

#[tokio::test]
async fn a_failure_while_its_task_is_cancelled_is_not_tried_again() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cancel(id, 1)).await.unwrap();
    w.one(fail(&claim)).await.unwrap();
    assert_eq!((w.task_state(id), w.states(id)[0]), (TaskState::Cancelled, StepState::Failed));
}

#[tokio::test]
async fn a_failed_task_can_be_cancelled() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    // 2 has one of two parents when the task fails.
    let id = w.start(1, template("v", &[&[], &[], &[0, 1]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail_for_good(&claims[1])]).await;
    assert_eq!(w.task_state(id), TaskState::Failed);
    w.one(cancel(id, 1)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Cancelled);
    assert_eq!(w.states(id), [StepState::Completed, StepState::Failed, StepState::Pending]);
}

#[tokio::test]
async fn a_task_that_is_over_or_stops_already_is_not_cancelled() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pending = w.start(1, roots(1)).await;
    w.one(cancel(pending, 1)).await.unwrap();
    let done = w.start(2, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let stopping = w.start(3, roots(1)).await;
    w.claim_one(worker(1)).await;
    w.one(cancel(stopping, 2)).await.unwrap();
    let before = w.rows.clone();
    for (task, state) in
        [(pending, TaskState::Cancelled), (done, TaskState::Completed), (stopping, TaskState::Cancelling)]
    {
        assert_eq!(w.one(cancel(task, 3)).await, Err(Refusal::TaskState { task, state, wanted: "cancelled" }));
    }
    assert_eq!(w.rows, before);
}

#[tokio::test]
async fn a_step_that_became_ready_in_the_instant_of_the_cancel_goes_too() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fan(2)).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact_with(worker(1), 10, vec![complete(&claim), cancel(id, 1)]).await;
    assert_eq!((committed.claimed.len(), committed.ready), (0, 0));
    assert_eq!(w.task_state(id), TaskState::Cancelled);
    assert_eq!(w.states(id)[1..=2], [StepState::Cancelled; 2]);
}

#[tokio::test]
async fn a_task_that_ends_twice_in_one_batch_is_told_once() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact(vec![fail_for_good(&claim), cancel(id, 1)]).await;
    assert_eq!(committed.finished.len(), 1);
    assert_eq!(committed.finished[0].state, TaskState::Cancelled);
}

#[tokio::test]
async fn a_task_that_fails_and_is_retried_in_one_batch_did_not_end() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact(vec![fail_for_good(&claim), retry(id, 1)]).await;
    assert_eq!(committed.finished, []);
    assert_eq!((w.task_state(id), w.states(id)[0]), (TaskState::Running, StepState::Ready));
    assert_eq!(w.task(id).finished_at, None);
    assert_eq!(w.rows.attempts[0].outcome, AttemptOutcome::Reopened, "the result moved before it was written");
}

#[tokio::test]
async fn a_retry_reopens_every_failed_step() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(3)).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![fail_for_good(&claims[0]), complete(&claims[1]), fail_for_good(&claims[2])]).await;
    assert_eq!(w.task_state(id), TaskState::Failed);
    w.pass(10);
    w.one(retry(id, 1)).await.unwrap();
    assert_eq!((w.task_state(id), w.task(id).finished_at), (TaskState::Running, None));
    assert_eq!(w.states(id), [StepState::Ready, StepState::Completed, StepState::Ready]);
    let again = w.claim(worker(1), 100).await;
    assert_eq!(again.iter().map(|claim| claim.live.attempt).collect::<Vec<_>>(), [2, 2]);
    w.transact(again.iter().map(complete).collect()).await;
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_retry_moves_the_result_to_the_attempts_and_counts_anew() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let mut template = roots(1);
    template.steps[0].retry.max_attempts = 2;
    let id = w.start(1, template).await;
    for action in 1..=2 {
        for _ in 0..2 {
            let claim = w.claim_one(worker(1)).await;
            w.one(fail(&claim)).await.unwrap();
            w.pass(60_000);
            w.due().await;
        }
        assert_eq!(w.task_state(id), TaskState::Failed);
        w.one(retry(id, action)).await.unwrap();
        let row = w.live(id, 0).unwrap();
        assert_eq!((row.attempt, row.failures, row.losses, row.ready_at), (action * 2, 0, 0, w.now));
    }
    let told: Vec<_> = w.rows.attempts.iter().map(|row| (row.attempt, row.outcome)).collect();
    let (failed, reopened) = (AttemptOutcome::Failed, AttemptOutcome::Reopened);
    assert_eq!(told, [(1, failed), (2, reopened), (3, failed), (4, reopened)]);
    assert_eq!(w.rows.results, []);
}

#[tokio::test]
async fn a_retry_counts_losses_anew() {
    let mut template = roots(1);
    template.steps[0].retry.max_losses = 1;
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template).await;
    for action in 1..=2 {
        let claim = w.claim_one(worker(action)).await;
        w.one(lose(&claim)).await.unwrap();
        assert_eq!(w.states(id), [StepState::Failed]);
        w.one(retry(id, action)).await.unwrap();
        assert_eq!(w.live(id, 0).unwrap().losses, 0);
    }
}

#[tokio::test]
async fn a_failed_step_can_be_retried_while_other_branches_run() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("v", &[&[], &[], &[0, 1]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.one(fail_for_good(&claims[0])).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Running);
    w.one(retry(id, 1)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Ready, StepState::Running, StepState::Pending]);
    w.one(complete(&claims[1])).await.unwrap();
    let again = w.claim_one(worker(1)).await;
    w.one(complete(&again)).await.unwrap();
    assert_eq!(w.states(id)[2], StepState::Ready);
}

#[tokio::test]
async fn one_failed_step_of_several_can_be_retried() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(fail_for_good).collect()).await;
    w.one(retry_step(id, 1, 1)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Failed, StepState::Ready]);
    assert_eq!(w.rows.actions[0].number, Some(StepNumber(1)));
    let again = w.claim_one(worker(1)).await;
    w.one(complete(&again)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Failed, "the other one is still failed");
}

#[tokio::test]
async fn only_a_failed_step_is_retried() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("v", &[&[], &[], &[1]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.one(complete(&claims[0])).await.unwrap();
    for (number, state) in [(0, StepState::Completed), (1, StepState::Running), (2, StepState::Pending)] {
        let refused =
            Err(Refusal::StepState { task: id, number: StepNumber(number), state, wanted: "failed can be retried" });
        assert_eq!(w.one(retry_step(id, number, 1)).await, refused);
    }
    assert_eq!(w.one(retry(id, 1)).await, Err(Refusal::NothingToRetry(id)));
    assert_eq!(w.rows.actions, []);
}

#[tokio::test]
async fn a_task_that_is_not_running_or_failed_is_not_retried() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pending = w.start(1, roots(1)).await;
    let refused = |task, state| Err(Refusal::TaskState { task, state, wanted: "retried" });
    assert_eq!(w.one(retry(pending, 1)).await, refused(pending, TaskState::Pending));
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.one(retry(pending, 1)).await, refused(pending, TaskState::Completed));
    let cancelled = w.start(2, roots(1)).await;
    w.one(cancel(cancelled, 1)).await.unwrap();
    assert_eq!(w.one(retry(cancelled, 2)).await, refused(cancelled, TaskState::Cancelled));
}

#[tokio::test]
async fn a_task_that_was_retried_can_be_cancelled_in_the_same_batch() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    let committed = w.transact(vec![retry(id, 1), cancel(id, 2)]).await;
    assert!(committed.replies.iter().all(Result::is_ok));
    assert_eq!((w.task_state(id), w.states(id)[0]), (TaskState::Cancelled, StepState::Cancelled));
    assert_eq!(w.rows.attempts[0].outcome, AttemptOutcome::Reopened);
}

#[tokio::test]
async fn the_same_action_is_never_taken_twice() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(1)).await;
    w.transact((1..=3).map(|number| submit(task(number), &pinned)).collect()).await;
    w.one(cancel(task(1), 1)).await.unwrap();
    assert_eq!(w.one(cancel(task(2), 1)).await, Err(Refusal::Repeated(stamp(1).id)));
    let committed = w.transact(vec![cancel(task(2), 2), cancel(task(3), 2)]).await;
    assert!(committed.replies[0].is_ok());
    assert_eq!(committed.replies[1], Err(Refusal::Repeated(stamp(2).id)));
    assert_eq!(w.task_state(task(3)), TaskState::Pending);
}
