//! A batch is decided and written as a whole.

use tasker_types::template::Lifecycle;
use tasker_types::{RetryPolicy, StalenessAction, StepNumber, StepState, TaskState};

use super::World;
use super::sample::{
    act, at, cancel, chain, complete, fail, fail_for_good, fan, lose, release, retry, roots, step_of, submit,
    submit_with_priority, task, template, worker,
};
use crate::core::{Act, AttemptOutcome, Batch, ByHand, Command, Pinned, QueueId, Refusal, Says, TemplateId};
use crate::store::{Store, StoreError};

pub async fn an_empty_batch_changes_nothing(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, chain(2)).await;
    let before = w.rows.clone();
    let committed = w.transact_with(worker(1), 10, Vec::new()).await;
    assert!(committed.replies.is_empty() && committed.claimed.is_empty() && committed.finished.is_empty());
    assert_eq!(w.rows, before);
}

pub async fn a_refused_command_changes_nothing(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let before = w.rows.clone();
    let again = submit(id, &claim.pinned);
    w.pass(10);
    for command in [again, complete(&claim), lose(&claim), release(&claim), retry(id, 1), cancel(task(2), 2)] {
        let refused = w.one(command.clone()).await;
        assert!(refused.is_err(), "{command:?}");
        assert_eq!(w.rows, before, "{command:?}");
    }
}

pub async fn a_task_is_out_of_time_only_by_what_was_done_to_it_before(store: &dyn Store) {
    let mut w = World::new(store);
    let mut limited = roots(2);
    let lifecycle = Lifecycle { max_duration_minutes: 1, staleness_action: StalenessAction::Dlq };
    limited.template.lifecycle = Some(lifecycle);
    let (id, other) = (w.start(1, limited).await, w.start(2, roots(1)).await);
    let expire = |action| act(id, Act::Expire { could_start: at(0) }, action);
    w.claim(worker(1), 1).await;
    w.pass(59_999);
    assert!(w.one(expire(1)).await.is_err(), "it has its time");
    w.pass(1);
    // What is done to another task bears on that one alone.
    w.transact(vec![act(other, Act::Pause, 2)]).await;
    w.one(act(other, Act::Resume, 3)).await.unwrap();
    w.one(expire(4)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Paused, "a step of it runs");
    w.one(act(id, Act::Resume, 5)).await.unwrap();
    assert!(w.one(expire(6)).await.is_err(), "it was let go on");
    w.one(act(id, Act::Pause, 7)).await.unwrap();
    w.pass(60_000);
    assert!(w.one(expire(8)).await.is_err(), "an operator has it");
    let committed = w.transact(vec![act(id, Act::Resume, 9), expire(10)]).await;
    assert!(matches!(committed.replies[..], [Ok(_), Err(Refusal::TaskState { .. })]), "{:?}", committed.replies);
    w.pass(60_000);
    w.one(expire(11)).await.unwrap();
}

/// A step that was tried, was lost or never began before its task's time was over goes on by a retry like any other.
pub async fn what_was_out_of_time_is_retried(store: &dyn Store) {
    let mut w = World::new(store);
    let mut limited = roots(3);
    let lifecycle = Lifecycle { max_duration_minutes: 1, staleness_action: StalenessAction::Dlq };
    limited.template.lifecycle = Some(lifecycle);
    let id = w.start(1, limited).await;
    let claims = w.claim(worker(1), 2).await;
    w.transact(vec![fail(&claims[0]), lose(&claims[1])]).await;
    for round in 0..2 {
        w.pass(60_000);
        w.one(act(id, Act::Expire { could_start: at(0) }, round * 2)).await.unwrap();
        assert_eq!((w.task_state(id), w.states(id)), (TaskState::Failed, vec![StepState::Failed; 3]));
        w.one(retry(id, round * 2 + 1)).await.unwrap();
        assert_eq!((w.task_state(id), w.states(id)), (TaskState::Running, vec![StepState::Ready; 3]));
    }
    let kept: Vec<_> = w.rows.attempts.iter().map(|row| (row.number.0, row.attempt, row.outcome)).collect();
    let reopened = AttemptOutcome::Reopened;
    assert_eq!(kept, [(0, 1, reopened), (1, 1, reopened), (2, 0, reopened)]);
    assert!(w.rows.attempts[0].detail.as_ref().is_some_and(|detail| !detail.contains("TASK_OUT_OF_TIME")));
    let claims = w.claim(worker(1), 3).await;
    assert_eq!(claims.iter().map(|claim| claim.live.attempt).collect::<Vec<_>>(), [2, 2, 1]);
    w.transact(claims.iter().map(complete).collect()).await;
    assert_eq!(w.task_state(id), TaskState::Completed);
}

pub async fn a_batch_with_one_refusal_commits_the_rest(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    let committed = w
        .transact(vec![
            submit(task(1), &pinned),
            submit(task(1), &pinned),
            cancel(task(9), 1),
            submit(task(2), &pinned),
            cancel(task(2), 2),
        ])
        .await;
    let told: Vec<bool> = committed.replies.iter().map(Result::is_ok).collect();
    assert_eq!(told, [true, false, false, true, true]);
    assert_eq!(committed.replies[1], Err(Refusal::Exists(task(1))));
    assert_eq!(committed.replies[2], Err(Refusal::NoTask(task(9))));
    assert_eq!((w.task_state(task(1)), w.task_state(task(2))), (TaskState::Pending, TaskState::Cancelled));
}

pub async fn a_batch_that_cannot_be_written_changes_nothing(store: &dyn Store) {
    let mut w = World::new(store);
    let good = w.pin(chain(1)).await;
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    let before = w.rows.clone();
    let foreign = Pinned::new(TemplateId(4_711), chain(1), &[QueueId(1)]).into();
    let commands = vec![complete(&claim), submit(task(2), &good), submit(task(3), &foreign)];
    let failed = store.transact(Batch { commands: commands.into(), capacity: None, now: Some(w.now) }).await;
    assert!(matches!(failed, Err(StoreError::Corrupt(_))), "no such template: {failed:?}");
    w.look(0).await;
    assert_eq!(w.rows, before);
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed, "the store still works");
}

pub async fn only_the_holder_of_a_claim_can_end_it(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let first = w.claim_one(worker(1)).await;
    w.one(lose(&first)).await.unwrap();
    let second = w.claim_one(worker(2)).await;
    let before = w.rows.clone();
    let step = step_of(id, 0);
    for (attempt, by) in [(1, worker(1)), (2, worker(1)), (1, worker(2)), (3, worker(2))] {
        let refused = w.one(Command::Release { step, attempt, worker: by }).await;
        assert_eq!(refused, Err(Refusal::Stale { task: id, number: StepNumber(0), attempt }));
    }
    assert_eq!(w.rows, before);
    w.one(complete(&second)).await.unwrap();
    assert_eq!(w.result(id, 0).unwrap().worker, Some(worker(2)));
}

pub async fn rows_are_read_back_as_they_were_decided(store: &dyn Store) {
    let mut w = World::new(store);
    let mut mixed = template("mixed", &[&[], &[], &[], &[], &[0, 1]]);
    mixed.steps[3].retry = RetryPolicy { retryable: false, ..mixed.steps[3].retry };
    let pinned = w.pin(mixed).await;
    w.pass(1);
    w.one(submit_with_priority(task(1), &pinned, 42)).await.unwrap();
    w.pass(1);
    let claims = w.claim(worker(1), 100).await;
    assert_eq!(w.rows.live.iter().filter(|row| row.claimed_by == Some(worker(1))).count(), 4);
    w.pass(1);
    w.transact(vec![complete(&claims[0]), fail(&claims[1]), lose(&claims[2]), lose(&claims[3])]).await;
    let row = w.task(task(1)).clone();
    assert_eq!((row.state, row.open_steps, row.runnable, row.priority), (TaskState::Running, 4, 2, 42));
    assert_eq!(row.pinned, pinned);
    assert_eq!((row.created_at, row.started_at), (claims[0].live.ready_at, claims[0].live.claimed_at));
    let waits = w.live(task(1), 1).unwrap().clone();
    assert_eq!((waits.state, waits.attempt, waits.failures), (StepState::WaitingForRetry, 1, 1));
    assert_eq!((waits.queue, waits.priority), (pinned.steps[1].queue, 42));
    let lost = w.live(task(1), 2).unwrap().clone();
    assert_eq!((lost.state, lost.losses, lost.ready_at), (StepState::Ready, 1, w.now));
    let child = w.live(task(1), 4).unwrap().clone();
    assert_eq!((child.state, child.unmet, child.met), (StepState::Pending, 1, true));
    let over: Vec<_> = w.rows.results.iter().map(|row| (row.number.0, row.outcome, row.finished_at)).collect();
    assert_eq!(over, [(0, StepState::Completed, w.now), (3, StepState::Failed, w.now)]);
    let told: Vec<_> = w.rows.attempts.iter().map(|row| (row.number.0, row.outcome, row.retry_at)).collect();
    let (failed, lost) = (AttemptOutcome::Failed, AttemptOutcome::Lost);
    assert_eq!(told, [(1, failed, Some(waits.ready_at)), (2, lost, None)]);
}

pub async fn batches_larger_than_a_statement_are_written_whole(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(2)).await;
    let commands: Vec<Command> = (1..=700).map(|number| submit(task(number), &pinned)).collect();
    w.transact(commands).await;
    for ended in [0, 700] {
        let mut claims = w.claim(worker(1), 600).await;
        claims.extend(w.claim(worker(1), 600).await);
        assert_eq!(claims.len(), 700);
        let committed = w.transact(claims.iter().map(complete).collect()).await;
        assert_eq!(committed.finished.len(), ended);
    }
}

pub async fn a_wide_fan_runs_to_its_end(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, fan(300)).await;
    let first = w.claim_one(worker(1)).await;
    let claims = w.transact_with(worker(1), 1_000, vec![complete(&first)]).await.claimed;
    assert_eq!(claims.len(), 300);
    let last = w.transact_with(worker(1), 1_000, claims.iter().map(complete).collect()).await.claimed;
    assert_eq!(last.len(), 1);
    w.one(complete(&last[0])).await.unwrap();
    assert_eq!((w.task_state(id), w.task(id).open_steps), (TaskState::Completed, 0));
}

pub async fn a_retry_moves_results_to_the_attempts(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(fail_for_good).collect()).await;
    let results = w.rows.results.clone();
    w.pass(10);
    w.one(retry(id, 1)).await.unwrap();
    assert_eq!(w.rows.results, []);
    let moved: Vec<_> = results.into_iter().map(crate::core::ResultRow::into_reopened).collect();
    assert_eq!(w.rows.attempts, moved);
    assert_eq!(w.states(id), [StepState::Ready; 2]);
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(complete).collect()).await;
    assert_eq!(w.task_state(id), TaskState::Completed);
    assert_eq!(w.rows.attempts, moved);
}

pub async fn a_cancel_ends_every_step(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, template("mixed", &[&[], &[], &[], &[0, 1]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1])]).await;
    w.one(cancel(id, 1)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Cancelling);
    assert_eq!(w.rows.live.len(), 1, "what runs is still there");
    w.one(release(&claims[2])).await.unwrap();
    assert_eq!((w.task_state(id), w.rows.live.len()), (TaskState::Cancelled, 0));
    let [action] = w.rows.actions.as_slice() else { panic!("{:?}", w.rows.actions) };
    assert_eq!((action.kind, action.actor.as_str(), action.at), ("cancel", "ada", w.now));
}

pub async fn the_same_action_is_taken_once(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    w.transact((1..=3).map(|number| submit(task(number), &pinned)).collect()).await;
    w.one(cancel(task(1), 7)).await.unwrap();
    let committed = w.transact(vec![cancel(task(2), 7), cancel(task(3), 8)]).await;
    assert!(matches!(committed.replies[0], Err(Refusal::Repeated(_))), "{committed:?}");
    assert!(committed.replies[1].is_ok(), "its neighbour is not harmed");
    assert_eq!(w.rows.actions.len(), 2);
}

pub async fn a_continuation_is_a_claim(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(3)).await;
    let mut claim = w.claim_one(worker(1)).await;
    for number in 1..3 {
        w.pass(10);
        let committed = w.transact_with(worker(1), 1, vec![complete(&claim)]).await;
        claim = committed.claimed[0].clone();
        assert_eq!(w.live(id, number), Some(&claim.live));
        assert_eq!(claim.live.attempt, 1);
        assert!(w.claim(worker(2), 100).await.is_empty());
    }
    let new = w.transact_with(worker(1), 1, vec![submit(task(2), &claim.pinned)]).await;
    assert_eq!((new.claimed[0].task, w.task_state(task(2))), (task(2), TaskState::Running));
}

pub async fn a_continuation_does_not_pass_what_has_a_higher_priority(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(2)).await;
    w.one(submit(task(1), &pinned)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(submit_with_priority(task(2), &pinned, 1)).await.unwrap();
    let committed = w.transact_with(worker(1), 10, vec![complete(&claim)]).await;
    assert_eq!((committed.claimed.len(), committed.ready), (0, 1));
    let order: Vec<_> = w.claim(worker(1), 100).await.iter().map(|claim| claim.task).collect();
    assert_eq!(order, [task(2), task(1)]);
}

pub async fn a_batch_tells_when_the_first_of_its_retries_is_due(store: &dyn Store) {
    let mut w = World::new(store);
    let mut later = roots(3);
    later.steps[0].retry.backoff_base_ms = 9_000;
    w.start(1, later).await;
    let claims = w.claim(worker(1), 100).await;
    let committed = w.transact(claims[..2].iter().map(fail).collect()).await;
    let first = w.live(task(1), 1).unwrap().ready_at;
    assert!(first < w.live(task(1), 0).unwrap().ready_at);
    assert_eq!(committed.next_retry, Some(first.since(w.now)));
    assert_eq!(w.transact(vec![complete(&claims[2])]).await.next_retry, None, "the others are not of this batch");
}

pub async fn a_paused_task_waits_until_it_goes_on(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(2)).await;
    w.one(act(id, Act::Pause, 1)).await.unwrap();
    assert!(w.claim(worker(1), 1).await.is_empty());
    assert_eq!(w.task_state(id), TaskState::Paused);
    w.one(act(id, Act::Resume, 2)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.transact(vec![act(id, Act::Pause, 3), fail(&claim)]).await;
    w.pass(1_000_000);
    w.due().await;
    assert_eq!((w.states(id)[0], w.task_state(id)), (StepState::WaitingForRetry, TaskState::Paused));
    w.one(act(id, Act::Resume, 4)).await.unwrap();
    assert_eq!((w.due().await.ready, w.claim(worker(1), 100).await.len()), (1, 1));
}

pub async fn steps_are_ended_by_hand(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(4)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    let by_hand = [ByHand::Skip, ByHand::Resolve, ByHand::Complete { result: "[7]".into(), says: Says::Nothing }];
    for (number, by_hand) in (0..).zip(by_hand) {
        w.pass(10);
        w.one(act(id, Act::End(StepNumber(number), by_hand), number)).await.unwrap();
    }
    assert_eq!(w.states(id), [StepState::Skipped, StepState::ResolvedManually, StepState::Completed, StepState::Ready]);
    assert_eq!(w.result(id, 2).unwrap().result.as_deref(), Some("[7]"));
    let told: Vec<_> = w.rows.actions.iter().map(|row| (row.kind, row.number.map(|number| number.0))).collect();
    assert_eq!(told, [("skip", Some(0)), ("resolve", Some(1)), ("complete", Some(2))]);
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    w.one(act(id, Act::Resolve, 9)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::ResolvedManually);
}
