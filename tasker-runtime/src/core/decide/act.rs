//! What operators do to a task.

use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp};

use super::super::row::Cause;
use super::super::{ActionRow, ActionStamp, Change, LiveStep, Refusal, Snapshot, TaskRow};
use super::finish::result_row;
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

pub(super) fn cancel(
    snapshot: &Snapshot,
    id: TaskId,
    stamp: &ActionStamp,
    now: Timestamp,
) -> Result<Vec<Change>, Refusal> {
    let task = snapshot.task(id).ok_or(Refusal::NoTask(id))?;
    if task.state == TaskState::Cancelling || !task.state.may_become(TaskState::Cancelled) {
        return Err(Refusal::TaskState { task: id, state: task.state, wanted: "cancelled" });
    }
    let mut changes = vec![action(id, None, "cancel", stamp, now)];
    let (mut stopped, mut running) = (0, 0);
    for row in snapshot.live_of(id) {
        match row.state {
            StepState::Ready if row.ready_at == now && planted(Bug::CancelMissesReady) => {}
            StepState::Running => running += 1,
            StepState::Ready | StepState::WaitingForRetry => {
                stopped += 1;
                changes.push(Change::Gone { task: id, number: row.number });
                changes.push(Change::Result(result_row(row, StepState::Cancelled, Cause::Operator, None, now)));
            }
            // It never was ready: it goes with its task.
            _ => changes.push(Change::Gone { task: id, number: row.number }),
        }
    }
    changes.push(Change::Count { task: id, open_steps: 0, runnable: -stopped });
    if running > 0 {
        mark(Mark::CancelWhileRunning);
    }
    let state = if running > 0 { TaskState::Cancelling } else { TaskState::Cancelled };
    changes.push(Change::TaskState { task: id, state, at: now });
    Ok(changes)
}

pub(super) fn retry(
    snapshot: &Snapshot,
    id: TaskId,
    step: Option<StepNumber>,
    stamp: &ActionStamp,
    now: Timestamp,
) -> Result<Vec<Change>, Refusal> {
    let task = snapshot.task(id).ok_or(Refusal::NoTask(id))?;
    if !matches!(task.state, TaskState::Failed | TaskState::Running | TaskState::Paused) {
        return Err(Refusal::TaskState { task: id, state: task.state, wanted: "retried" });
    }
    if let Some(number) = step {
        let state = state_of(snapshot, id, number);
        if state != StepState::Failed {
            return Err(Refusal::StepState { task: id, number, state });
        }
    }
    let failed: Vec<(StepNumber, u32)> = snapshot
        .over_of(id)
        .filter(|(number, over)| over.outcome == StepState::Failed && step.is_none_or(|wanted| wanted == *number))
        .map(|(number, over)| (number, over.attempt))
        .collect();
    if failed.is_empty() {
        return Err(Refusal::NothingToRetry(id));
    }
    if task.state == TaskState::Running {
        mark(Mark::RetryWhileRunning);
    }
    let mut changes = vec![action(id, step, "retry", stamp, now)];
    let count = i32::try_from(failed.len()).unwrap_or(i32::MAX);
    for (number, attempt) in failed {
        changes.push(Change::Reopen { task: id, number });
        changes.push(Change::Live(reopened(task, number, attempt, now)));
    }
    changes.push(Change::Count { task: id, open_steps: 0, runnable: count });
    if task.state == TaskState::Failed {
        changes.push(Change::TaskState { task: id, state: TaskState::Running, at: now });
    }
    Ok(changes)
}

fn state_of(snapshot: &Snapshot, task: TaskId, number: StepNumber) -> StepState {
    let over = snapshot.over_of(task).find(|(found, _)| *found == number).map(|(_, over)| over.outcome);
    over.or_else(|| snapshot.live(task, number).map(|row| row.state)).unwrap_or(StepState::Pending)
}

fn reopened(task: &TaskRow, number: StepNumber, attempt: u32, now: Timestamp) -> LiveStep {
    let ready = LiveStep::ready(task.id, &task.pinned, number, task.priority, now);
    LiveStep { attempt, held: task.state == TaskState::Paused, ..ready }
}

fn action(task: TaskId, number: Option<StepNumber>, kind: &'static str, stamp: &ActionStamp, at: Timestamp) -> Change {
    Change::Action(ActionRow {
        id: stamp.id,
        task,
        number,
        kind,
        actor: stamp.actor.clone(),
        reason: stamp.reason.clone(),
        at,
    })
}
