//! What can be asked of a task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tasker_types::{IfExists, Start, StepNumber, StepState, TaskId, TaskState, Timestamp, WorkerId};
use uuid::Uuid;

use super::{Pinned, Published, TaskInput};

/// A step of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepRef {
    /// The task.
    pub task: TaskId,
    /// The step.
    pub number: StepNumber,
}

/// What can be asked of a task.
#[derive(Debug, Clone)]
pub enum Command {
    /// Accept a task.
    Submit(NewTask),
    /// An attempt came to its end.
    Finish(Finish),
    /// A claim counts as lost.
    Lose {
        /// The step.
        step: StepRef,
        /// The attempt that it held.
        attempt: u32,
        /// The worker.
        worker: WorkerId,
        /// Why.
        loss: Loss,
    },
    /// A worker gives this claim back.
    Release {
        /// The step.
        step: StepRef,
        /// The attempt that it holds.
        attempt: u32,
        /// The worker.
        worker: WorkerId,
    },
    /// A running attempt saves how far it has come.
    Checkpoint(Checkpoint),
    /// An operator acts.
    Act {
        /// The task.
        task: TaskId,
        /// What is to be done.
        act: Act,
        /// Who, and why.
        action: ActionStamp,
    },
    /// An operator has a task that is over run again from one of its steps on, as a new task.
    Rerun(Box<Rerun>),
}

/// Why a claim counts as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Its worker died.
    WorkerDied,
    /// No outcome came within the time that the task's request gives to a claim.
    TimeUp,
}

/// What an operator can do to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Stop it.
    Cancel,
    /// Try failed steps again: one of them, or all.
    Retry(Option<StepNumber>),
    /// Stop new claims of it; what runs goes on.
    Pause,
    /// Let it go on after a pause.
    Resume,
    /// Close it as it stands, after it failed.
    Resolve,
    /// End one of its steps that failed, is ready or waits for its retry.
    End(StepNumber, ByHand),
    /// Do what its template says of a task that takes longer than it allows; refused where it does not.
    Expire {
        /// When its first steps could start: before that its time does not run.
        could_start: Timestamp,
    },
}

/// How an operator ends a step. What depends on it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// As skipped: it has no result.
    Skip,
    /// As resolved: it has no result, but what it was for is done.
    Resolve,
    /// As completed, with this result.
    Complete {
        /// The value, as JSON.
        result: Arc<str>,
        /// What it says of the steps after it.
        says: Says,
    },
}

/// What a result that is given by hand says of the steps after its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Says {
    /// Nothing: they go on.
    #[default]
    Nothing,
    /// Which of them go on: it is that of a decision.
    Chosen(Arc<[StepNumber]>),
    /// Which workers are made: it is that of a batchable step. None where there is nothing to do.
    Cut(Option<Workers>),
}

impl Act {
    /// The names of all kinds, as they are stored.
    pub const KINDS: &[&'static str] =
        &["cancel", "retry", "pause", "resume", "resolve_task", "skip", "resolve", "complete", "expire", Rerun::KIND];

    /// The name of this kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry(_) => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Resolve => "resolve_task",
            Self::End(_, ByHand::Skip) => "skip",
            Self::End(_, ByHand::Resolve) => "resolve",
            Self::End(_, ByHand::Complete { .. }) => "complete",
            Self::Expire { .. } => "expire",
        }
    }

    /// The step that it concerns, where it concerns one.
    #[must_use]
    pub const fn step(&self) -> Option<StepNumber> {
        match self {
            Self::Retry(step) => *step,
            Self::End(step, _) => Some(*step),
            Self::Cancel | Self::Pause | Self::Resume | Self::Resolve | Self::Expire { .. } => None,
        }
    }
}

/// A task to accept.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Its identity.
    pub id: TaskId,
    /// Its template.
    pub pinned: Arc<Pinned>,
    /// What it is submitted with.
    pub input: TaskInput,
    /// From -100 to 100; the higher one is claimed first.
    pub priority: i16,
    /// What the request is known by, where another one may mean the same task.
    pub known_by: Option<KnownBy>,
    /// When its first steps may start.
    pub start: Start,
}

/// What a request is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownBy {
    /// Of two requests with the same one, the second means the task of the first.
    pub identity: Identity,
    /// What becomes of the second.
    pub if_exists: IfExists,
}

/// What requests for the same task have in common: SHA-256 of namespace, template, and key or context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 32]);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The end of an attempt.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The step.
    pub step: StepRef,
    /// The attempt: with the worker, the fence.
    pub attempt: u32,
    /// The worker that holds the claim.
    pub worker: WorkerId,
    /// How it ended.
    pub outcome: Outcome,
    /// What the publishers of its events made of it.
    pub published: Published,
}

/// How far a running attempt has come: what the next attempt of its step begins with.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The step.
    pub step: StepRef,
    /// The attempt: with the worker, the fence.
    pub attempt: u32,
    /// The worker that holds the claim.
    pub worker: WorkerId,
    /// The value, as JSON.
    pub value: Arc<str>,
}

/// A task that is over is run again from one of its steps on.
#[derive(Debug, Clone)]
pub struct Rerun {
    /// The new task. It runs on the template of the one that it reruns.
    pub new: NewTask,
    /// The task that is over.
    pub source: TaskId,
    /// The step that is run anew, and with it all that come after it.
    pub from: StepNumber,
    /// What each completed decision of the task chose; see [`chosen`](super::chosen).
    pub chosen: BTreeMap<StepNumber, Arc<[StepNumber]>>,
    /// Who, and why.
    pub action: ActionStamp,
}

impl Rerun {
    /// The name of this kind of action, as it is stored.
    pub const KIND: &str = "rerun";
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The handler returned a value.
    Completed {
        /// The value, as JSON.
        result: Arc<str>,
        /// The rest, as JSON.
        detail: Option<Arc<str>>,
    },
    /// The handler of a decision returned which steps go on.
    Decided {
        /// The value, as JSON.
        result: Arc<str>,
        /// The rest, as JSON.
        detail: Option<Arc<str>>,
        /// The steps directly after the decision that go on, in the order of their numbers; see [`chosen`](super::chosen).
        chosen: Arc<[StepNumber]>,
    },
    /// The handler of a batchable step returned which workers are to be made.
    Cut {
        /// The value, as JSON.
        result: Arc<str>,
        /// The rest, as JSON.
        detail: Option<Arc<str>>,
        /// The workers, where there are any; see [`cut`](super::cut).
        workers: Option<Workers>,
    },
    /// The handler failed, panicked or took too long.
    Failed(Failure),
    /// The handler stopped because its task was cancelled. In a task that is not, the step fails.
    Cancelled,
}

/// The workers of a batch that are to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// The step of the template that they are made after.
    pub of: StepNumber,
    /// How many.
    pub count: u32,
}

/// A failed attempt.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Whether another try makes sense.
    pub retryable: bool,
    /// Whether it took too long.
    pub timed_out: bool,
    /// The handler's own delay before another try.
    pub retry_after: Option<Duration>,
    /// The error, as the JSON of a [`Detail`](super::Detail).
    pub detail: Arc<str>,
    /// Where jitter comes from.
    pub seed: u64,
}

/// Who asks for something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionStamp {
    /// The action's identity.
    pub id: Uuid,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

impl Command {
    /// The task that it concerns.
    #[must_use]
    pub fn task(&self) -> TaskId {
        match self {
            Self::Submit(new) => new.id,
            Self::Finish(Finish { step, .. })
            | Self::Checkpoint(Checkpoint { step, .. })
            | Self::Lose { step, .. }
            | Self::Release { step, .. } => step.task,
            Self::Act { task, .. } => *task,
            Self::Rerun(rerun) => rerun.new.id,
        }
    }

    /// Another task of which it reads every row, where there is one.
    #[must_use]
    pub fn source(&self) -> Option<TaskId> {
        if let Self::Rerun(rerun) = self { Some(rerun.source) } else { None }
    }

    /// What the request is known by, where it is one and may mean a task that there is.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Self::Submit(new) => new.known_by.map(|known| known.identity),
            _ => None,
        }
    }

    /// Who acts, where an operator does.
    #[must_use]
    pub fn action(&self) -> Option<&ActionStamp> {
        match self {
            Self::Act { action, .. } => Some(action),
            Self::Rerun(rerun) => Some(&rerun.action),
            Self::Submit(_) | Self::Finish(_) | Self::Checkpoint(_) | Self::Lose { .. } | Self::Release { .. } => None,
        }
    }
}

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The claim is no longer held: it was lost, released or its step is over. The outcome is dropped.
    #[error("step {number} of task {task}: attempt {attempt} no longer holds the claim")]
    Stale {
        /// The task.
        task: TaskId,
        /// The step.
        number: StepNumber,
        /// The attempt.
        attempt: u32,
    },
    /// There is no such task.
    #[error("there is no task {0}")]
    NoTask(TaskId),
    /// A task of this identity exists.
    #[error("there is a task {0} already")]
    Exists(TaskId),
    /// The request means a task that there is, and does not want it.
    #[error("the same request made task {0} already")]
    SameRequest(TaskId),
    /// The task's state does not allow it.
    #[error("task {task} is {state}: it cannot be {wanted}")]
    TaskState {
        /// The task.
        task: TaskId,
        /// Its state.
        state: TaskState,
        /// What was asked, as in "cannot be ..".
        wanted: &'static str,
    },
    /// No step of the task has failed.
    #[error("task {0} has no failed step to retry")]
    NothingToRetry(TaskId),
    /// The step is not in the state that the action needs.
    #[error("step {number} of task {task} is {state}: only a step that {wanted}")]
    StepState {
        /// The task.
        task: TaskId,
        /// The step.
        number: StepNumber,
        /// Its state.
        state: StepState,
        /// What was asked, as in "only a step that ..".
        wanted: &'static str,
    },
    /// Only a result can say which steps after a decision go on, and which workers are made of a batch.
    #[error("step {number} of task {task} says in its result what goes on: complete it with one")]
    Undecided {
        /// The task.
        task: TaskId,
        /// The step.
        number: StepNumber,
    },
    /// The template has no such step.
    #[error("task {task} has no step {number}")]
    NoStep {
        /// The task.
        task: TaskId,
        /// The step.
        number: StepNumber,
    },
    /// The task cannot be run again from this step on.
    #[error("task {task} cannot be rerun from step {number}: {why}")]
    NotRerun {
        /// The task.
        task: TaskId,
        /// The step.
        number: StepNumber,
        /// Why not, and from where it can.
        why: &'static str,
    },
    /// The action was taken before: it is not taken again.
    #[error("action {0} was taken before")]
    Repeated(Uuid),
    /// The priority is out of bounds.
    #[error("a priority is from -100 to 100, not {0}")]
    Priority(i16),
}

impl Refusal {
    /// The stable code that CLI and API show.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stale { .. } => "E101",
            Self::NoTask(_) => "E102",
            Self::Exists(_) => "E103",
            Self::TaskState { .. } => "E104",
            Self::NothingToRetry(_) => "E105",
            Self::StepState { .. } => "E106",
            Self::Repeated(_) => "E107",
            Self::Priority(_) => "E108",
            Self::Undecided { .. } => "E109",
            Self::NoStep { .. } => "E110",
            Self::NotRerun { .. } => "E112",
            Self::SameRequest(_) => "E111",
        }
    }
}
