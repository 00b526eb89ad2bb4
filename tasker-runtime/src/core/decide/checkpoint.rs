//! A running attempt saves how far it has come.

use tasker_types::Timestamp;

use super::super::{Change, Checkpoint, CheckpointRow, Refusal, Snapshot, StepRef};
use super::held_claim;
use crate::plant::{Bug, planted};

/// Fenced as an outcome is: whoever lost the claim saves nothing. It changes neither the step nor its task.
pub(super) fn checkpoint(snapshot: &Snapshot, checkpoint: &Checkpoint, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    let Checkpoint { step, attempt, worker, value } = checkpoint;
    let StepRef { task, number } = *step;
    if !planted(Bug::CheckpointNotFenced) {
        held_claim(snapshot, *step, *attempt, *worker)?;
    }
    Ok(vec![Change::Checkpoint(CheckpointRow { task, number, attempt: *attempt, value: value.clone(), saved_at: now })])
}
