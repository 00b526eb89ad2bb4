//! A task takes longer than its template allows.

use std::collections::BTreeMap;

use tasker_types::{StalenessAction, StepNumber, StepState, TaskState, Timestamp, error_types};

use super::super::lifetime::out_of_time_at;
use super::super::row::Cause;
use super::super::{BatchRow, Change, Detail, LiveStep, Refusal, ResultRow, Snapshot, TaskRow};
use super::act::{cancel, pause, refused};
use super::finish::result_row;
use super::settle;
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

/// What becomes of the task, and under which kind that is recorded. Whether its time is over is decided here: whoever looked may
/// have been overtaken by an operator, and may have another time than the database.
pub(super) fn expire(
    snapshot: &Snapshot,
    task: &TaskRow,
    could_start: Timestamp,
    now: Timestamp,
) -> Result<(Vec<Change>, &'static str), Refusal> {
    let action = task.pinned.template.lifecycle.map(|limit| limit.staleness_action);
    let over_at = out_of_time_at(task, could_start, snapshot.said_of(task.id), now);
    let Some(action) = action.filter(|_| over_at.is_some_and(|at| at <= now)) else {
        mark(Mark::NotOutOfTime);
        return Err(refused(task, "out of time yet"));
    };
    match action {
        StalenessAction::Cancel => {
            mark(Mark::OutOfTimeCancelled);
            Ok((cancel(snapshot, task, now)?, "cancel"))
        }
        StalenessAction::Pause => {
            mark(Mark::OutOfTimePaused);
            Ok((pause(snapshot, task, now)?, "pause"))
        }
        StalenessAction::Dlq => Ok((fail_what_waits(snapshot, task, now)?, "expire")),
    }
}

/// What is ready or waits fails, whatever its template says of its failure. Where something runs, the task is paused: what
/// comes after that is held back, and fails when it is looked at again.
fn fail_what_waits(snapshot: &Snapshot, task: &TaskRow, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    let runs = snapshot.live_of(task.id).any(|row| row.state == StepState::Running);
    let waits = |row: &&LiveStep| matches!(row.state, StepState::Ready | StepState::WaitingForRetry);
    let waiting: Vec<&LiveStep> = snapshot.live_of(task.id).filter(waits).collect();
    if waiting.is_empty() && task.state == TaskState::Paused {
        return Err(refused(task, "out of time once more while all of it runs"));
    }
    let mut changes = Vec::with_capacity(waiting.len() * 2 + 2);
    let mut batches: BTreeMap<StepNumber, BatchRow> = BTreeMap::new();
    for row in &waiting {
        changes.push(Change::Gone { task: task.id, number: row.number });
        changes.push(Change::Result(failed(row, now)));
        let batch = task.pinned.worker_index(row.number).map(|_| task.pinned.template_step(row.number));
        if let Some(found) = batch.and_then(|of| snapshot.batch(task.id, of)) {
            let batch = batches.entry(found.number).or_insert(found);
            (batch.failed, batch.in_flight) = (batch.failed + 1, batch.in_flight.saturating_sub(1));
        }
    }
    // No other worker begins in the place of one that failed so.
    changes.extend(batches.into_values().map(Change::Batch));
    let count = i32::try_from(waiting.len()).unwrap_or(i32::MAX);
    settle(&mut changes, task, 0, -count, now);
    if runs && task.state != TaskState::Paused && !planted(Bug::OutOfTimeGoesOn) {
        mark(Mark::OutOfTimeWhileRunning);
        changes.push(Change::TaskState { task: task.id, state: TaskState::Paused, at: now });
    } else if task.state == TaskState::Paused {
        mark(Mark::OutOfTimeAgain);
    } else {
        mark(Mark::OutOfTimeFailed);
    }
    Ok(changes)
}

fn failed(row: &LiveStep, now: Timestamp) -> ResultRow {
    let detail = Detail {
        message: Some("the task took longer than its template allows".to_owned()),
        error_type: Some(error_types::TIMEOUT.to_owned()),
        error_code: Some("TASK_OUT_OF_TIME".to_owned()),
        retryable: Some(false),
        ..Detail::default()
    };
    // A step that waits for its retry will not have been ready.
    let ready_at = Some(row.ready_at.min(now));
    ResultRow { ready_at, ..result_row(row, StepState::Failed, Cause::Operator, detail.to_json(), now) }
}
