//! A claim comes to its end: by an outcome, by the death of its worker, or given back.

use std::sync::Arc;
use std::time::Duration;

use tasker_types::error_types::HANDLER_ERROR;
use tasker_types::{StepNumber, StepState, TaskState, Timestamp, WorkerId};

use super::super::row::{AttemptOutcome, Cause};
use super::super::{
    AttemptRow, Change, Detail, Failure, Finish, LiveStep, Loss, Outcome, Refusal, ResultRow, Snapshot, StepRef,
    TaskRow, Workers,
};
use super::successors::{choose, satisfy};
use super::{batch, held_claim, settle};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

pub(super) fn finish(snapshot: &Snapshot, finish: &Finish, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    let (task, row) = held_claim(snapshot, finish.step, finish.attempt, finish.worker)?;
    Ok(match &finish.outcome {
        // Whoever tells an outcome reads what was decided out of it.
        Outcome::Completed { .. } if task.pinned.step(row.number).decides() => {
            let detail = failed("the outcome of a decision does not say which steps go on");
            fail_for_good(snapshot, task, row, Cause::Handler, detail, now)
        }
        Outcome::Completed { .. } if task.pinned.step(row.number).makes_batches() => {
            let detail = failed("the outcome of a batchable step does not say which workers are to be made");
            fail_for_good(snapshot, task, row, Cause::Handler, detail, now)
        }
        Outcome::Completed { result, detail } => {
            complete(snapshot, task, row, (result, detail.clone()), Then::Satisfy, now)
        }
        Outcome::Decided { result, detail, chosen } => {
            complete(snapshot, task, row, (result, detail.clone()), Then::Choose(chosen), now)
        }
        Outcome::Cut { result, detail, workers } => {
            complete(snapshot, task, row, (result, detail.clone()), Then::Make(*workers), now)
        }
        Outcome::Failed(failure) => fail(snapshot, task, row, failure, now),
        Outcome::Cancelled if task.state == TaskState::Cancelling => {
            end(task, row, StepState::Cancelled, Cause::Operator, None, now)
        }
        // Not tried again, for it might say so for ever; failed, for only a failed step can be retried.
        Outcome::Cancelled => {
            let detail = failed("the handler stopped as if its task had been cancelled");
            fail_for_good(snapshot, task, row, Cause::Handler, detail, now)
        }
    })
}

fn failed(message: &str) -> Option<Arc<str>> {
    let (message, error_type) = (Some(message.to_owned()), Some(HANDLER_ERROR.to_owned()));
    Detail { message, error_type, ..Detail::default() }.to_json()
}

/// As many as the end of a step makes that one other waits for.
const CHANGES: usize = 5;

/// What the end of a step means for the steps after it.
enum Then<'o> {
    Satisfy,
    Choose(&'o [StepNumber]),
    Make(Option<Workers>),
}

fn complete(
    snapshot: &Snapshot,
    task: &TaskRow,
    row: &LiveStep,
    (result, detail): (&Arc<str>, Option<Arc<str>>),
    then: Then<'_>,
    now: Timestamp,
) -> Vec<Change> {
    let mut over = result_row(row, StepState::Completed, Cause::Handler, detail, now);
    over.result = Some(result.clone());
    let mut changes = Vec::with_capacity(CHANGES);
    changes.extend([Change::Gone { task: row.task, number: row.number }, Change::Result(over)]);
    let mut spread = match then {
        _ if task.state == TaskState::Cancelling => {
            mark(Mark::CompletedWhileCancelling);
            settle(&mut changes, task, -1, -1, now);
            return changes;
        }
        Then::Choose(chosen) => choose(snapshot, task, row.number, chosen, now, &mut changes),
        Then::Make(workers) => batch::make(snapshot, task, row.number, workers, now, &mut changes),
        Then::Satisfy => satisfy(snapshot, task, row.number, now, &mut changes),
    };
    spread += batch::go_on(snapshot, task, row.number, false, now, &mut changes);
    settle(&mut changes, task, -1 - spread.closed, spread.ready - 1, now);
    changes
}

fn fail(snapshot: &Snapshot, task: &TaskRow, row: &LiveStep, failure: &Failure, now: Timestamp) -> Vec<Change> {
    let policy = task.pinned.step(row.number).retry;
    let failures = row.failures + 1;
    let again =
        failure.retryable && policy.retryable && failures < policy.max_attempts && task.state != TaskState::Cancelling;
    if !again {
        return fail_for_good(snapshot, task, row, Cause::Handler, Some(failure.detail.clone()), now);
    }
    let asked = failure.retry_after.unwrap_or(Duration::ZERO).min(Duration::from_millis(policy.max_backoff_ms));
    let delay = policy.delay(failures, failure.seed).max(asked);
    let retry_at = now + if planted(Bug::BackoffCutShort) { delay / 2 } else { delay };
    let outcome = if failure.timed_out { AttemptOutcome::TimedOut } else { AttemptOutcome::Failed };
    let attempt =
        AttemptRow { retry_at: Some(retry_at), detail: Some(failure.detail.clone()), ..attempt_row(row, outcome, now) };
    let mut live = LiveStep { state: StepState::WaitingForRetry, failures, ready_at: retry_at, ..unclaimed(task, row) };
    live.attempt += u32::from(planted(Bug::AttemptCountedAtFailure));
    again_later(snapshot, task, attempt, live, now)
}

/// The attempt did not end its step, which is tried again.
fn again_later(
    snapshot: &Snapshot,
    task: &TaskRow,
    attempt: AttemptRow,
    live: LiveStep,
    now: Timestamp,
) -> Vec<Change> {
    let live = batch::unless_stopped(snapshot, task, live);
    let is_held_up = live.state == StepState::Pending;
    let mut changes = vec![Change::Attempt(attempt), Change::Live(live)];
    if is_held_up {
        settle(&mut changes, task, 0, -1, now);
    }
    changes
}

pub(super) fn lose(
    snapshot: &Snapshot,
    (step, attempt, worker): (StepRef, u32, WorkerId),
    loss: Loss,
    now: Timestamp,
) -> Result<Vec<Change>, Refusal> {
    let (task, row) = held_claim(snapshot, step, attempt, worker)?;
    let policy = task.pinned.step(row.number).retry;
    let losses = row.losses + u32::from(!planted(Bug::LossNotCounted));
    if task.state == TaskState::Cancelling {
        mark(Mark::LostWhileCancelling);
        return Ok(end(task, row, StepState::Cancelled, Cause::Losses, None, now));
    }
    if !policy.retryable || losses >= policy.max_losses {
        mark(if policy.retryable { Mark::LossesReached } else { Mark::LossOfNotRetryable });
        let message = match (loss, policy.retryable) {
            (Loss::WorkerDied, true) => format!("the worker died {losses} times while it ran this step"),
            (Loss::WorkerDied, false) => {
                "the worker died while it ran this step, which may not be tried again".to_owned()
            }
            (Loss::TimeUp, true) => format!("{TIME_UP}; the step was lost {losses} times"),
            (Loss::TimeUp, false) => format!("{TIME_UP}, and the step may not be tried again"),
        };
        let detail = lost(message, Some(false));
        return Ok(fail_for_good(snapshot, task, row, Cause::Losses, detail, now));
    }
    let live = LiveStep { state: StepState::Ready, losses, ready_at: now, ..unclaimed(task, row) };
    let mut attempt = attempt_row(row, AttemptOutcome::Lost, now);
    if loss == Loss::TimeUp {
        attempt.detail = lost(TIME_UP.to_owned(), None);
    }
    Ok(again_later(snapshot, task, attempt, live, now))
}

const TIME_UP: &str = "no outcome came within the claim timeout of the task's request";

fn lost(message: String, retryable: Option<bool>) -> Option<Arc<str>> {
    let (message, error_type) = (Some(message), Some("worker_lost".to_owned()));
    Detail { message, error_type, retryable, ..Detail::default() }.to_json()
}

pub(super) fn release(
    snapshot: &Snapshot,
    step: StepRef,
    attempt: u32,
    worker: WorkerId,
    now: Timestamp,
) -> Result<Vec<Change>, Refusal> {
    let (task, row) = held_claim(snapshot, step, attempt, worker)?;
    if task.state == TaskState::Cancelling {
        mark(Mark::ReleasedWhileCancelling);
        return Ok(end(task, row, StepState::Cancelled, Cause::Operator, None, now));
    }
    let live = LiveStep { state: StepState::Ready, ready_at: now, ..unclaimed(task, row) };
    Ok(again_later(snapshot, task, attempt_row(row, AttemptOutcome::Released, now), live, now))
}

/// The step failed for good: it is skipped over where its template says so.
fn fail_for_good(
    snapshot: &Snapshot,
    task: &TaskRow,
    row: &LiveStep,
    cause: Cause,
    detail: Option<Arc<str>>,
    now: Timestamp,
) -> Vec<Change> {
    if task.state == TaskState::Cancelling {
        return end(task, row, StepState::Failed, cause, detail, now);
    }
    if !task.pinned.is_skipped_over(row.number) || planted(Bug::SkippableFails) {
        let mut changes = vec![
            Change::Gone { task: row.task, number: row.number },
            Change::Result(result_row(row, StepState::Failed, cause, detail, now)),
        ];
        let runnable = batch::fail(snapshot, task, row.number, now, &mut changes);
        settle(&mut changes, task, 0, runnable - 1, now);
        return changes;
    }
    mark(Mark::SkippedOver);
    let mut changes = vec![
        Change::Gone { task: row.task, number: row.number },
        Change::Result(result_row(row, StepState::Skipped, Cause::Skippable, detail, now)),
    ];
    let mut spread = satisfy(snapshot, task, row.number, now, &mut changes);
    spread += batch::go_on(snapshot, task, row.number, false, now, &mut changes);
    settle(&mut changes, task, -1, spread.ready - 1, now);
    changes
}

/// The step is over without a result; what depends on it stays pending.
fn end(
    task: &TaskRow,
    row: &LiveStep,
    outcome: StepState,
    cause: Cause,
    detail: Option<Arc<str>>,
    now: Timestamp,
) -> Vec<Change> {
    let mut changes = vec![
        Change::Gone { task: row.task, number: row.number },
        Change::Result(result_row(row, outcome, cause, detail, now)),
    ];
    settle(&mut changes, task, 0, -1, now);
    changes
}

fn unclaimed(task: &TaskRow, row: &LiveStep) -> LiveStep {
    let held = task.state == TaskState::Paused && !planted(Bug::ReleaseIgnoresHeld);
    LiveStep { claimed_by: None, claimed_at: None, held, ..row.clone() }
}

pub(super) fn result_row(
    row: &LiveStep,
    outcome: StepState,
    cause: Cause,
    detail: Option<Arc<str>>,
    now: Timestamp,
) -> ResultRow {
    ResultRow {
        task: row.task,
        number: row.number,
        outcome,
        cause,
        attempt: row.attempt,
        worker: row.claimed_by,
        ready_at: Some(row.ready_at),
        claimed_at: row.claimed_at,
        finished_at: now,
        result: None,
        detail,
    }
}

fn attempt_row(row: &LiveStep, outcome: AttemptOutcome, now: Timestamp) -> AttemptRow {
    AttemptRow {
        task: row.task,
        number: row.number,
        attempt: row.attempt,
        outcome,
        worker: row.claimed_by,
        ready_at: Some(row.ready_at),
        claimed_at: row.claimed_at,
        finished_at: now,
        retry_at: None,
        detail: None,
    }
}
