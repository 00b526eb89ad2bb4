//! One command, decided: the changes that it makes, or why it makes none.

mod act;
mod batch;
mod checkpoint;
mod expire;
mod finish;
mod rerun;
mod submit;
mod successors;

use tasker_types::{StepState, TaskState, Timestamp, WorkerId};

use super::{Change, Command, LiveStep, Refusal, Snapshot, StepRef, TaskRow};
use crate::plant::{Bug, planted};

/// The changes that `command` makes to `snapshot`.
///
/// # Errors
/// The command is refused: it changes nothing.
pub(super) fn decide(snapshot: &Snapshot, command: &Command, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    if let Some(action) = command.action().filter(|action| snapshot.was_taken(action.id)) {
        return Err(Refusal::Repeated(action.id));
    }
    match command {
        Command::Submit(new) => submit::submit(snapshot, new, now),
        Command::Finish(finish) => finish::finish(snapshot, finish, now),
        Command::Lose { step, attempt, worker, loss } => finish::lose(snapshot, (*step, *attempt, *worker), *loss, now),
        Command::Release { step, attempt, worker } => finish::release(snapshot, *step, *attempt, *worker, now),
        Command::Checkpoint(checkpoint) => checkpoint::checkpoint(snapshot, checkpoint, now),
        Command::Rerun(rerun) => rerun::rerun(snapshot, rerun, now),
        Command::Act { task, act, action } => act::act(snapshot, *task, act, action, now),
    }
}

/// The task and the live row of a claim that is still held by this attempt of this worker.
fn held_claim(
    snapshot: &Snapshot,
    step: StepRef,
    attempt: u32,
    worker: WorkerId,
) -> Result<(&TaskRow, &LiveStep), Refusal> {
    let stale = || Refusal::Stale { task: step.task, number: step.number, attempt };
    let task = snapshot.task(step.task).ok_or(Refusal::NoTask(step.task))?;
    let row = snapshot.live(step.task, step.number).ok_or_else(stale)?;
    let same = (row.attempt == attempt && row.claimed_by == Some(worker)) || planted(Bug::FenceDropped);
    let held = row.state == StepState::Running && same;
    if held { Ok((task, row)) } else { Err(stale()) }
}

/// What becomes of the task when its counters move by these.
///
/// With nothing left that is ready, running or waiting: `cancelling` ends as `cancelled`, any other as
/// `completed` where no step is open and as `failed` where one is. A failed task of which something can run again runs.
fn settle(changes: &mut Vec<Change>, task: &TaskRow, open_steps: i32, runnable: i32, now: Timestamp) {
    changes.push(Change::Count { task: task.id, open_steps, runnable });
    if task.runnable.saturating_add_signed(runnable) == 0 {
        let state = match task.state {
            TaskState::Cancelling => TaskState::Cancelled,
            _ if task.open_steps.saturating_add_signed(open_steps) == 0 => TaskState::Completed,
            _ => TaskState::Failed,
        };
        if state != task.state {
            changes.push(Change::TaskState { task: task.id, state, at: now });
        }
    } else if task.state == TaskState::Failed {
        changes.push(Change::TaskState { task: task.id, state: TaskState::Running, at: now });
    }
}
