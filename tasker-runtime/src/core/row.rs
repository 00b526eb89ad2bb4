//! The rows: a step is in exactly one place, and that place tells its state.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp, WorkerId};
use uuid::Uuid;

use super::{Identity, Pinned, QueueId};

/// A task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// Its identity.
    pub id: TaskId,
    /// The template that it started with.
    pub pinned: Arc<Pinned>,
    /// Its state.
    pub state: TaskState,
    /// Steps that are not completed, skipped or resolved; a failed one counts.
    pub open_steps: u32,
    /// Steps that are ready, running or waiting for a retry.
    pub runnable: u32,
    /// From -100 to 100; the higher one is claimed first.
    pub priority: i16,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first step was claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl TaskRow {
    /// Takes over what of a task changes.
    #[cfg(feature = "sqlite")]
    pub(crate) fn set_to(&mut self, newer: &Self) {
        (self.state, self.open_steps, self.runnable) = (newer.state, newer.open_steps, newer.runnable);
        (self.started_at, self.finished_at) = (newer.started_at, newer.finished_at);
    }
}

/// What a task was submitted with: written once, never changed.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskInput {
    /// The context, as JSON.
    pub context: Arc<str>,
    /// Ties the task to others of the same request.
    pub correlation_id: String,
    /// Who or what submitted it.
    pub initiator: String,
    /// The system that it came from.
    pub source_system: String,
    /// Why.
    pub reason: String,
    /// How long a claimed step may be without an outcome: after that its claim counts as lost.
    pub claim_timeout: Option<Duration>,
}

/// Which task the requests of an identity mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityRow {
    /// What they have in common.
    pub identity: Identity,
    /// The task.
    pub task: TaskId,
}

/// A step that was touched and is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveStep {
    /// Its task.
    pub task: TaskId,
    /// Its number.
    pub number: StepNumber,
    /// `pending`, `ready`, `running` or `waiting_for_retry`.
    pub state: StepState,
    /// The number of the last attempt that was claimed; 0 before the first.
    pub attempt: u32,
    /// Attempts that failed by themselves since the last audited retry.
    pub failures: u32,
    /// Attempts that were lost with their worker since the last audited retry.
    pub losses: u32,
    /// Parents that are not decided yet.
    pub unmet: u32,
    /// Whether some parent is satisfied.
    pub met: bool,
    /// The queue that it waits in.
    pub queue: QueueId,
    /// Its task's priority.
    pub priority: i16,
    /// When it became, or will become, ready.
    pub ready_at: Timestamp,
    /// Its task is paused: it is not claimed.
    pub held: bool,
    /// The worker that runs it.
    pub claimed_by: Option<WorkerId>,
    /// When that worker claimed it.
    pub claimed_at: Option<Timestamp>,
}

impl LiveStep {
    /// A step that waits for nothing and was never claimed.
    pub(super) fn ready(task: TaskId, pinned: &Pinned, number: StepNumber, priority: i16, now: Timestamp) -> Self {
        Self {
            task,
            number,
            state: StepState::Ready,
            attempt: 0,
            failures: 0,
            losses: 0,
            unmet: 0,
            met: true,
            queue: pinned.step(number).queue,
            priority,
            ready_at: now,
            held: false,
            claimed_by: None,
            claimed_at: None,
        }
    }
}

/// Why a step ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Its handler said so.
    Handler,
    /// A decision did not choose it.
    Decision,
    /// It failed and is skippable.
    Skippable,
    /// An operator said so.
    Operator,
    /// Its workers died.
    Losses,
}

impl Cause {
    /// All causes, in the order of their numbers in the database.
    pub const ALL: &[Self] = &[Self::Handler, Self::Decision, Self::Skippable, Self::Operator, Self::Losses];

    /// The number that stands for the cause in the database.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The cause that `code` stands for.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }
}

/// What is kept of an attempt beside its result: the error, the handler's metadata.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The class of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// The code of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Whether another try made sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// How long the handler ran by its own measure, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_time_ms: Option<i64>,
    /// What the handler added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

/// A step that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    /// Its task.
    pub task: TaskId,
    /// Its number.
    pub number: StepNumber,
    /// `completed`, `failed`, `cancelled`, `skipped` or `resolved_manually`.
    pub outcome: StepState,
    /// Why.
    pub cause: Cause,
    /// The attempt that ended it; 0 where none had begun.
    pub attempt: u32,
    /// The worker of that attempt.
    pub worker: Option<WorkerId>,
    /// When it was ready.
    pub ready_at: Option<Timestamp>,
    /// When the attempt began.
    pub claimed_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The value that dependants read, as JSON; present iff completed.
    pub result: Option<Arc<str>>,
    /// The rest, as the JSON of a [`Detail`].
    pub detail: Option<Arc<str>>,
}

/// The workers of a batch: a cursor over those that were not begun yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRow {
    /// The task.
    pub task: TaskId,
    /// The step of the template that they are made after.
    pub number: StepNumber,
    /// How many there are in all.
    pub count: u32,
    /// How many were begun: the index of the next one.
    pub next: u32,
    /// How many were begun and are not over.
    pub in_flight: u32,
    /// How many failed, and were not retried since.
    pub failed: u32,
}

/// How an attempt ended that did not end its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptOutcome {
    /// It failed, and the step is tried again.
    Failed,
    /// It took too long, and the step is tried again.
    TimedOut,
    /// Its worker died.
    Lost,
    /// Its worker stopped in good order and gave it back.
    Released,
    /// It had ended its step until an operator reopened it.
    Reopened,
}

impl AttemptOutcome {
    /// All outcomes, in the order of their numbers in the database.
    pub const ALL: &[Self] = &[Self::Failed, Self::TimedOut, Self::Lost, Self::Released, Self::Reopened];

    /// The outcome's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Lost => "lost",
            Self::Released => "released",
            Self::Reopened => "reopened",
        }
    }

    /// The number that stands for the outcome in the database.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The outcome that `code` stands for.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }
}

/// An attempt that did not end its step.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// The task.
    pub task: TaskId,
    /// The step.
    pub number: StepNumber,
    /// The attempt.
    pub attempt: u32,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Who ran it.
    pub worker: Option<WorkerId>,
    /// When the step was ready.
    pub ready_at: Option<Timestamp>,
    /// When the attempt began.
    pub claimed_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// When the step may be tried again.
    pub retry_at: Option<Timestamp>,
    /// The rest, as the JSON of a [`Detail`].
    pub detail: Option<Arc<str>>,
}

impl AttemptRow {
    /// What becomes of the last attempt where a retry begins anew with a step that an operator ended before it was tried again:
    /// from here on its attempts are counted.
    pub fn reopen(&mut self) {
        (self.outcome, self.retry_at) = (AttemptOutcome::Reopened, None);
    }
}

/// What an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRow {
    /// Its identity: the same action is never taken twice.
    pub id: Uuid,
    /// The task.
    pub task: TaskId,
    /// The step, where it concerns one.
    pub number: Option<StepNumber>,
    /// `cancel`, `retry`, ..
    pub kind: &'static str,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// How far a step had come when an attempt of it said so last. It stays when the step is over: a retry by an operator goes on
/// from it, and it costs the end of a step nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The task.
    pub task: TaskId,
    /// The step.
    pub number: StepNumber,
    /// The attempt that saved it.
    pub attempt: u32,
    /// What it saved, as JSON.
    pub value: Arc<str>,
    /// When.
    pub saved_at: Timestamp,
}

/// Which task a task runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RerunRow {
    /// The task.
    pub task: TaskId,
    /// The task that it runs again.
    pub source: TaskId,
    /// The step that is run anew, and with it all that come after it.
    pub from: StepNumber,
    /// The action by which it was made: it stands with the new task, and tells who, when and why.
    pub action: Uuid,
}

/// A step that this worker may now run.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The task.
    pub task: TaskId,
    /// The template.
    pub pinned: Arc<Pinned>,
    /// The step, as it stands in the database.
    pub live: LiveStep,
}

impl Detail {
    /// The JSON that is stored; nothing where there is nothing to say.
    #[must_use]
    pub fn to_json(&self) -> Option<Arc<str>> {
        if *self == Self::default() {
            return None;
        }
        serde_json::to_string(self).ok().map(Into::into)
    }

    /// What stands in the stored JSON.
    #[must_use]
    pub fn from_json(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}
