//! What an attempt may know and do beside its data.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tasker_types::{DataError, Scope, TaskSequenceStep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{AppState, CheckpointError, Progress};

/// What the worker hands to an attempt beside its data. It travels in the step's `scope`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AttemptScope {
    /// What the application shares with its handlers.
    pub state: Arc<AppState>,
    /// Cancelled when the attempt should stop: its task is cancelled, or the worker must end.
    pub cancellation: CancellationToken,
    /// Where the attempt saves how far it has come; in a test that calls a handler there is no such place.
    pub progress: Option<Progress>,
}

impl AttemptScope {
    /// The scope of one attempt.
    #[must_use]
    pub fn new(state: Arc<AppState>, cancellation: CancellationToken) -> Self {
        Self { state, cancellation, progress: None }
    }

    /// The scope of an attempt that can save how far it has come.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// The scope in the form in which a step carries it.
    #[must_use]
    pub fn into_scope(self) -> Scope {
        Scope(Some(Arc::new(self)))
    }

    /// The scope that `step` carries.
    #[must_use]
    pub fn of(step: &TaskSequenceStep) -> Option<&Self> {
        step.scope.0.as_ref()?.downcast_ref()
    }
}

/// What an attempt may know of itself: which one it is, its ids, and whether it should stop.
///
/// A handler takes it as an argument, without an attribute: `ctx: StepContext<'_>`.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'s> {
    step: &'s TaskSequenceStep,
}

impl<'s> StepContext<'s> {
    /// The context of the attempt that `step` was made for.
    #[must_use]
    pub fn new(step: &'s TaskSequenceStep) -> Self {
        Self { step }
    }

    /// The number of this attempt, counted from 1; it is never used again for this step.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.step.workflow_step.attempt
    }

    /// How many attempts may fail before the step does.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.step.workflow_step.max_attempts
    }

    /// Whether the step fails for good if this attempt does.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        let step = &self.step.workflow_step;
        step.failures.saturating_add(1) >= step.max_attempts
    }

    /// The task's UUID.
    #[must_use]
    pub fn task_uuid(&self) -> Uuid {
        self.step.task.task_uuid
    }

    /// The step's UUID.
    #[must_use]
    pub fn step_uuid(&self) -> Uuid {
        self.step.workflow_step.workflow_step_uuid
    }

    /// The step's name.
    #[must_use]
    pub fn step_name(&self) -> &'s str {
        &self.step.workflow_step.name
    }

    /// Ties the task to others of the same request.
    #[must_use]
    pub fn correlation_id(&self) -> &'s str {
        &self.step.task.correlation_id
    }

    /// The same text at every attempt of this step, and no other step has it: for a payment
    /// gateway, a mail server, whatever must do a thing once though the handler may run twice.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}", self.task_uuid(), self.step_name())
    }

    /// Saves how far this attempt has come, in the place of what was saved before. When this returns, it survives a crash of
    /// any process, and the next attempt of the step finds it: [`last_checkpoint`](Self::last_checkpoint).
    ///
    /// Each call is a commit, shared with whatever else is committed at that moment: save after a portion of work that is
    /// worth it, not after each item. Where no engine runs the step, as in a test that calls the function, nothing is saved.
    ///
    /// ```
    /// use tasker_runtime::handler::{CheckpointError, StepContext};
    ///
    /// async fn count(ctx: StepContext<'_>, lines: &[String]) -> anyhow::Result<usize> {
    ///     let (mut at, mut counted): (usize, usize) = ctx.last_checkpoint()?.unwrap_or_default();
    ///     for portion in lines[at..].chunks(1_000) {
    ///         counted += portion.iter().filter(|line| !line.is_empty()).count();
    ///         at += portion.len();
    ///         ctx.checkpoint(&(at, counted)).await?;
    ///     }
    ///     Ok(counted)
    /// }
    /// ```
    ///
    /// # Errors
    /// The attempt no longer holds its claim: another one has taken over, and what this one does next is for nothing. Or
    /// the value has more than 64 KiB as JSON or cannot be stored, or the store fails: then nothing was saved.
    pub async fn checkpoint<T: Serialize + Sync + ?Sized>(&self, value: &T) -> Result<(), CheckpointError> {
        let value = serde_json::to_value(value).map_err(|error| CheckpointError::NotStorable(error.to_string()))?;
        match AttemptScope::of(self.step).and_then(|scope| scope.progress.as_ref()) {
            Some(progress) => progress.save(value).await,
            None => Ok(()),
        }
    }

    /// What an earlier attempt of this step saved last; `None` where none did.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn last_checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, DataError> {
        self.step.last_checkpoint()
    }

    /// All that the handler was given.
    #[must_use]
    pub fn step(&self) -> &'s TaskSequenceStep {
        self.step
    }

    /// Whether the attempt should stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        AttemptScope::of(self.step).is_some_and(|scope| scope.cancellation.is_cancelled())
    }

    /// Returns when the attempt should stop, for `tokio::select!`; otherwise never.
    ///
    /// A handler that does not look at it is dropped after a grace period.
    pub async fn cancelled(&self) {
        match AttemptScope::of(self.step) {
            Some(scope) => scope.cancellation.cancelled().await,
            None => std::future::pending().await,
        }
    }
}
