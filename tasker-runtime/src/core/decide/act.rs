//! What operators do to a task.

use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp};

use super::super::row::Cause;
use super::super::{
    Act, ActionRow, ActionStamp, ByHand, Change, LiveStep, Refusal, ResultRow, Says, Snapshot, TaskRow,
};
use super::expire::expire;
use super::finish::result_row;
use super::successors::{choose, satisfy};
use super::{batch, settle};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

/// What an operator's action changes; that it was taken is part of it.
pub(super) fn act(
    snapshot: &Snapshot,
    id: TaskId,
    act: &Act,
    stamp: &ActionStamp,
    now: Timestamp,
) -> Result<Vec<Change>, Refusal> {
    let task = snapshot.task(id).ok_or(Refusal::NoTask(id))?;
    if let Some(number) = act.step().filter(|&number| !task.pinned.has(number)) {
        return Err(Refusal::NoStep { task: id, number });
    }
    let mut kind = act.kind();
    let mut changes = match act {
        Act::Cancel => cancel(snapshot, task, now)?,
        Act::Retry(step) => retry(snapshot, task, *step, now)?,
        Act::Pause => pause(snapshot, task, now)?,
        Act::Resume => resume(snapshot, task, now)?,
        Act::Resolve => resolve(snapshot, task, now)?,
        Act::End(step, by_hand) => end(snapshot, task, *step, by_hand, now)?,
        Act::Expire { could_start } => {
            let (changes, done) = expire(snapshot, task, *could_start, now)?;
            kind = done;
            changes
        }
    };
    changes.push(Change::Action(ActionRow {
        id: stamp.id,
        task: id,
        number: act.step(),
        kind,
        actor: stamp.actor.clone(),
        reason: stamp.reason.clone(),
        at: now,
    }));
    Ok(changes)
}

pub(super) fn refused(task: &TaskRow, wanted: &'static str) -> Refusal {
    Refusal::TaskState { task: task.id, state: task.state, wanted }
}

pub(super) fn cancel(snapshot: &Snapshot, task: &TaskRow, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    let id = task.id;
    if task.state == TaskState::Cancelling || !task.state.may_become(TaskState::Cancelled) {
        return Err(refused(task, "cancelled"));
    }
    let mut changes = Vec::new();
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
            _ => drop_untouched(row, now, &mut changes),
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

/// What never was ready goes with its task. A worker of a batch that was held up after an attempt is cancelled.
fn drop_untouched(row: &LiveStep, now: Timestamp, changes: &mut Vec<Change>) {
    changes.push(Change::Gone { task: row.task, number: row.number });
    if row.attempt > 0 {
        changes.push(Change::Result(result_row(row, StepState::Cancelled, Cause::Operator, None, now)));
    }
}

fn retry(
    snapshot: &Snapshot,
    task: &TaskRow,
    step: Option<StepNumber>,
    now: Timestamp,
) -> Result<Vec<Change>, Refusal> {
    let id = task.id;
    if !matches!(task.state, TaskState::Failed | TaskState::Running | TaskState::Paused) {
        return Err(refused(task, "retried"));
    }
    if let Some(number) = step {
        let state = state_of(snapshot, id, number);
        if state != StepState::Failed {
            return Err(Refusal::StepState { task: id, number, state, wanted: "failed can be retried" });
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
    let mut changes = Vec::new();
    let woken = batch::reopen(snapshot, task, &failed, &mut changes);
    let count = i32::try_from(failed.len()).unwrap_or(i32::MAX).saturating_add(woken);
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

pub(super) fn pause(snapshot: &Snapshot, task: &TaskRow, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    if !matches!(task.state, TaskState::Pending | TaskState::Running) {
        return Err(refused(task, "paused"));
    }
    let waits = |row: &&LiveStep| matches!(row.state, StepState::Ready | StepState::WaitingForRetry);
    let hold = |row: &LiveStep| Change::Live(LiveStep { held: true, ..row.clone() });
    let mut changes: Vec<Change> = snapshot.live_of(task.id).filter(waits).map(hold).collect();
    changes.push(Change::TaskState { task: task.id, state: TaskState::Paused, at: now });
    Ok(changes)
}

fn resume(snapshot: &Snapshot, task: &TaskRow, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    if task.state != TaskState::Paused {
        return Err(refused(task, "resumed"));
    }
    let let_go = |row: &LiveStep| Change::Live(LiveStep { held: false, ..row.clone() });
    let mut changes: Vec<Change> = snapshot.live_of(task.id).filter(|row| row.held).map(let_go).collect();
    let state = if task.started_at.is_some() { TaskState::Running } else { TaskState::Pending };
    changes.push(Change::TaskState { task: task.id, state, at: now });
    Ok(changes)
}

fn resolve(snapshot: &Snapshot, task: &TaskRow, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    if task.state != TaskState::Failed {
        return Err(refused(task, "resolved by hand"));
    }
    // What waited for the failed step will never run.
    let mut changes = Vec::new();
    snapshot.live_of(task.id).for_each(|row| drop_untouched(row, now, &mut changes));
    changes.push(Change::TaskState { task: task.id, state: TaskState::ResolvedManually, at: now });
    Ok(changes)
}

fn end(
    snapshot: &Snapshot,
    task: &TaskRow,
    number: StepNumber,
    by_hand: &ByHand,
    now: Timestamp,
) -> Result<Vec<Change>, Refusal> {
    use TaskState::{Failed, Paused, Pending, Running};
    if !matches!(task.state, Pending | Running | Paused | Failed) {
        return Err(refused(task, "changed"));
    }
    let (outcome, result, says) = match by_hand {
        ByHand::Skip => (StepState::Skipped, None, &Says::Nothing),
        ByHand::Resolve => (StepState::ResolvedManually, None, &Says::Nothing),
        ByHand::Complete { result, says } => (StepState::Completed, Some(result.clone()), says),
    };
    let step = task.pinned.step(number);
    let is_said = match says {
        Says::Nothing => !step.decides() && !step.makes_batches(),
        Says::Chosen(_) => step.decides(),
        Says::Cut(_) => step.makes_batches(),
    };
    if !is_said {
        return Err(Refusal::Undecided { task: task.id, number });
    }
    let over = snapshot.over_of(task.id).find(|(found, _)| *found == number).map(|(_, over)| over);
    let live = snapshot.live(task.id, number);
    let (gone, runnable, row) = match (over, live) {
        (Some(over), _) if over.outcome == StepState::Failed => {
            (Change::Reopen { task: task.id, number }, 0, reopened(task, number, over.attempt, now))
        }
        (None, Some(row)) if matches!(row.state, StepState::Ready | StepState::WaitingForRetry) => {
            (Change::Gone { task: task.id, number }, -1, row.clone())
        }
        _ => {
            let state = state_of(snapshot, task.id, number);
            let wanted = "failed, is ready or waits for its retry can be ended by hand";
            return Err(Refusal::StepState { task: task.id, number, state, wanted });
        }
    };
    let mut changes = vec![gone];
    // A step that waits for its retry will not have been ready.
    let ready_at = Some(row.ready_at.min(now));
    changes.push(Change::Result(ResultRow {
        ready_at,
        result,
        ..result_row(&row, outcome, Cause::Operator, None, now)
    }));
    let mut spread = match says {
        Says::Chosen(chosen) => choose(snapshot, task, number, chosen, now, &mut changes),
        Says::Cut(workers) => batch::make(snapshot, task, number, *workers, now, &mut changes),
        Says::Nothing => satisfy(snapshot, task, number, now, &mut changes),
    };
    spread += batch::go_on(snapshot, task, number, over.is_some(), now, &mut changes);
    settle(&mut changes, task, -1 - spread.closed, runnable + spread.ready, now);
    Ok(changes)
}
