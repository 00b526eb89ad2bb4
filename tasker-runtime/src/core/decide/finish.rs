//! A claim comes to its end: by an outcome, by the death of its worker, or given back.

use std::sync::Arc;
use std::time::Duration;

use tasker_types::error_types::HANDLER_ERROR;
use tasker_types::{StepNumber, StepState, TaskState, Timestamp, WorkerId};

use super::super::row::{AttemptOutcome, Cause};
use super::super::{
    AttemptRow, Change, Detail, Failure, Finish, LiveStep, Outcome, Refusal, ResultRow, Snapshot, StepRef, TaskRow,
};
use super::{held_claim, settle};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

pub(super) fn finish(snapshot: &Snapshot, finish: &Finish, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    let (task, row) = held_claim(snapshot, finish.step, finish.attempt, finish.worker)?;
    Ok(match &finish.outcome {
        Outcome::Completed { result, detail } => complete(snapshot, task, row, result, detail.clone(), now),
        Outcome::Failed(failure) => fail(task, row, failure, now),
        Outcome::Cancelled if task.state == TaskState::Cancelling => {
            end(task, row, StepState::Cancelled, Cause::Operator, None, now)
        }
        // Not tried again, for it might say so for ever; failed, for only a failed step can be retried.
        Outcome::Cancelled => {
            let message = "the handler stopped as if its task had been cancelled".to_owned();
            let detail =
                Detail { message: Some(message), error_type: Some(HANDLER_ERROR.to_owned()), ..Detail::default() };
            end(task, row, StepState::Failed, Cause::Handler, detail.to_json(), now)
        }
    })
}

/// As many as the end of a step makes that one other waits for.
const CHANGES: usize = 5;

fn complete(
    snapshot: &Snapshot,
    task: &TaskRow,
    row: &LiveStep,
    result: &Arc<str>,
    detail: Option<Arc<str>>,
    now: Timestamp,
) -> Vec<Change> {
    let mut over = result_row(row, StepState::Completed, Cause::Handler, detail, now);
    over.result = Some(result.clone());
    let mut changes = Vec::with_capacity(CHANGES);
    changes.extend([Change::Gone { task: row.task, number: row.number }, Change::Result(over)]);
    let mut runnable = -1;
    if task.state == TaskState::Cancelling {
        mark(Mark::CompletedWhileCancelling);
    } else {
        for &child in task.pinned.graph().children(row.number) {
            if snapshot.is_over(row.task, child) {
                continue;
            }
            let next = satisfied(snapshot, task, child, now);
            runnable += i32::from(next.state == StepState::Ready);
            changes.push(Change::Live(next));
        }
    }
    settle(&mut changes, task, -1, runnable, now);
    changes
}

/// The child's row once one more of its parents is satisfied.
fn satisfied(snapshot: &Snapshot, task: &TaskRow, child: StepNumber, now: Timestamp) -> LiveStep {
    let mut row = snapshot.live(task.id, child).cloned().unwrap_or_else(|| LiveStep {
        state: StepState::Pending,
        unmet: task.pinned.parent_count(child),
        met: false,
        held: task.state == TaskState::Paused,
        ..LiveStep::ready(task.id, &task.pinned, child, task.priority, now)
    });
    row.unmet = row.unmet.saturating_sub(1 + u32::from(planted(Bug::FanInCountedTwice)));
    row.met = true;
    if row.unmet == 0 {
        row.state = StepState::Ready;
        row.ready_at = now;
    }
    row
}

fn fail(task: &TaskRow, row: &LiveStep, failure: &Failure, now: Timestamp) -> Vec<Change> {
    let policy = task.pinned.step(row.number).retry;
    let failures = row.failures + 1;
    let again =
        failure.retryable && policy.retryable && failures < policy.max_attempts && task.state != TaskState::Cancelling;
    if !again {
        return end(task, row, StepState::Failed, Cause::Handler, Some(failure.detail.clone()), now);
    }
    let asked = failure.retry_after.unwrap_or(Duration::ZERO).min(Duration::from_millis(policy.max_backoff_ms));
    let delay = policy.delay(failures, failure.seed).max(asked);
    let retry_at = now + if planted(Bug::BackoffCutShort) { delay / 2 } else { delay };
    let outcome = if failure.timed_out { AttemptOutcome::TimedOut } else { AttemptOutcome::Failed };
    let attempt =
        AttemptRow { retry_at: Some(retry_at), detail: Some(failure.detail.clone()), ..attempt_row(row, outcome, now) };
    let mut live = LiveStep { state: StepState::WaitingForRetry, failures, ready_at: retry_at, ..unclaimed(task, row) };
    live.attempt += u32::from(planted(Bug::AttemptCountedAtFailure));
    vec![Change::Attempt(attempt), Change::Live(live)]
}

pub(super) fn lose(
    snapshot: &Snapshot,
    step: StepRef,
    attempt: u32,
    worker: WorkerId,
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
        let message = if policy.retryable {
            format!("the worker died {losses} times while it ran this step")
        } else {
            "the worker died while it ran this step, which may not be tried again".to_owned()
        };
        let detail = Detail {
            message: Some(message),
            error_type: Some("worker_lost".into()),
            retryable: Some(false),
            ..Detail::default()
        };
        return Ok(end(task, row, StepState::Failed, Cause::Losses, detail.to_json(), now));
    }
    let live = LiveStep { state: StepState::Ready, losses, ready_at: now, ..unclaimed(task, row) };
    Ok(vec![Change::Attempt(attempt_row(row, AttemptOutcome::Lost, now)), Change::Live(live)])
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
    Ok(vec![Change::Attempt(attempt_row(row, AttemptOutcome::Released, now)), Change::Live(live)])
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
    LiveStep { claimed_by: None, claimed_at: None, held: task.state == TaskState::Paused, ..row.clone() }
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
