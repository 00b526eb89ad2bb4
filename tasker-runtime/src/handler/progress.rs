//! How an attempt saves how far it has come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use tasker_types::{StepError, StepNumber, TaskId, WorkerId, error_types};

/// Why a checkpoint was not saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The attempt no longer holds its claim, as its worker was taken for dead or its task is over: what it does now is for
    /// nothing, and its outcome will be dropped.
    #[error("the attempt no longer holds its claim: {0}")]
    Stale(String),
    /// The value is larger or deeper than what is stored, or has text that a database cannot store.
    #[error("the checkpoint {0}")]
    NotStorable(String),
    /// The store did not take it. What was saved before stands; a later call may succeed.
    #[error("the checkpoint was not saved: {0}")]
    NotSaved(String),
}

impl From<CheckpointError> for StepError {
    /// What cannot be stored today cannot be stored at the next try; the rest may.
    fn from(error: CheckpointError) -> Self {
        let message = error.to_string();
        match error {
            CheckpointError::NotStorable(_) => Self::permanent(message).with_type(error_types::HANDLER_ERROR),
            CheckpointError::Stale(_) | CheckpointError::NotSaved(_) => Self::retryable(message),
        }
    }
}

/// The claim that an attempt holds: by it a checkpoint is known to come from whoever runs the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The task.
    pub task: TaskId,
    /// The step.
    pub number: StepNumber,
    /// The attempt.
    pub attempt: u32,
    /// The worker.
    pub worker: WorkerId,
}

/// The answer to a checkpoint that is on its way.
pub type Saving = Pin<Box<dyn Future<Output = Result<(), CheckpointError>> + Send>>;

/// Saves checkpoints. The engine is one: handlers know nothing else of it.
pub trait SaveCheckpoint: Send + Sync {
    /// Saves this for whoever holds the claim.
    fn save(&self, claim: Claim, value: Value) -> Saving;
}

/// Where one attempt saves how far it has come.
#[derive(Clone)]
pub struct Progress {
    place: Arc<dyn SaveCheckpoint>,
    claim: Claim,
}

impl Progress {
    /// Where the attempt with this claim saves.
    #[must_use]
    pub fn new(place: Arc<dyn SaveCheckpoint>, claim: Claim) -> Self {
        Self { place, claim }
    }

    /// Saves this in the place of what was saved before.
    pub(super) fn save(&self, value: Value) -> Saving {
        self.place.save(self.claim, value)
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("claim", &self.claim).finish_non_exhaustive()
    }
}
