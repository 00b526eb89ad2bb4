//! What an attempt may know and do beside its data.

use std::sync::Arc;

use tasker_types::{Scope, TaskSequenceStep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::AppState;

/// What the worker hands to an attempt beside its data. It travels in the step's `scope`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AttemptScope {
    /// What the application shares with its handlers.
    pub state: Arc<AppState>,
    /// Cancelled when the attempt should stop: its task is cancelled, or the worker must end.
    pub cancellation: CancellationToken,
}

impl AttemptScope {
    /// The scope of one attempt.
    #[must_use]
    pub fn new(state: Arc<AppState>, cancellation: CancellationToken) -> Self {
        Self { state, cancellation }
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
