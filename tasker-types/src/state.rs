//! The states of tasks and steps, and which may follow which.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// All states, in the order of their numbers in the database.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The state's name, as it is written everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The number that stands for the state in the database.
            #[must_use]
            pub const fn code(self) -> i16 {
                self as i16
            }

            /// The state that `code` stands for.
            #[must_use]
            pub fn from_code(code: i16) -> Option<Self> {
                usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
            }

            /// The state of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.as_str() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

states! {
    /// The state of a task.
    TaskState {
        /// Accepted, nothing started.
        Pending = "pending",
        /// A step has started, and the task is not over.
        Running = "running",
        /// An operator stopped new claims.
        Paused = "paused",
        /// Every step is completed, skipped or resolved.
        Completed = "completed",
        /// A step failed for good and nothing can run; a retry reopens it.
        Failed = "failed",
        /// Stopped by request, while a handler still runs.
        Cancelling = "cancelling",
        /// Stopped by request.
        Cancelled = "cancelled",
        /// Closed by an operator.
        ResolvedManually = "resolved_manually",
    }
}

states! {
    /// The state of a step.
    StepState {
        /// Waits for its dependencies.
        Pending = "pending",
        /// May be claimed, from its `ready_at` on.
        Ready = "ready",
        /// Claimed by a worker.
        Running = "running",
        /// Failed, and will be ready at its `ready_at`.
        WaitingForRetry = "waiting_for_retry",
        /// Over, with a result.
        Completed = "completed",
        /// Over, with an error.
        Failed = "failed",
        /// Stopped with its task.
        Cancelled = "cancelled",
        /// Not chosen by a decision, or skippable and failed.
        Skipped = "skipped",
        /// Closed by an operator; satisfies what depends on it.
        ResolvedManually = "resolved_manually",
    }
}

impl TaskState {
    /// Whether the task is over: nothing of it will run unless an operator acts.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::ResolvedManually)
    }

    /// The transition table of a task: whether `next` may follow this state.
    ///
    /// | from | to |
    /// |---|---|
    /// | `pending` | `running`, `paused`, `completed`, `failed`, `cancelled` |
    /// | `running` | `paused`, `completed`, `failed`, `cancelling`, `cancelled` |
    /// | `paused` | `running`, `pending`, `completed`, `failed`, `cancelling`, `cancelled` |
    /// | `cancelling` | `cancelled` |
    /// | `failed` | `pending`, `running`, `completed`, `cancelled`, `resolved_manually`: each by an audited action only |
    /// | `completed`, `cancelled`, `resolved_manually` | nothing |
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use TaskState::{Cancelled, Cancelling, Completed, Failed, Paused, Pending, ResolvedManually, Running};
        match self {
            Pending => matches!(next, Running | Paused | Completed | Failed | Cancelled),
            Running => matches!(next, Paused | Completed | Failed | Cancelling | Cancelled),
            Paused => matches!(next, Running | Pending | Completed | Failed | Cancelling | Cancelled),
            Cancelling => matches!(next, Cancelled),
            Failed => matches!(next, Pending | Running | Completed | Cancelled | ResolvedManually),
            Completed | Cancelled | ResolvedManually => false,
        }
    }
}

impl StepState {
    /// Whether the step is over: it stands in the results.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Skipped | Self::ResolvedManually)
    }

    /// Whether a step in this state decides what depends on it.
    #[must_use]
    pub const fn decides_successors(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped | Self::ResolvedManually)
    }

    /// The transition table of a step: whether `next` may follow this state.
    ///
    /// | from | to |
    /// |---|---|
    /// | `pending` | `ready`, `running` (a continuation), `skipped`, `cancelled` |
    /// | `ready` | `running`, `failed` (its losses, or its task takes too long), `cancelled`, `skipped`, `resolved_manually`, `completed` (by hand), `pending` (another worker of its batch failed) |
    /// | `running` | `completed`, `failed`, `waiting_for_retry`, `ready` (released or lost), `skipped`, `cancelled`, `pending` (as `ready`) |
    /// | `waiting_for_retry` | `ready`, `running`, `failed` (its task takes too long), `cancelled`, `skipped`, `resolved_manually`, `completed` (by hand), `pending` (as `ready`) |
    /// | `failed` | `ready`, `skipped`, `resolved_manually`, `completed`: each by an audited action only |
    /// | `cancelled` | `ready`, by an audited action only |
    /// | `completed`, `skipped`, `resolved_manually` | nothing |
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use StepState::{
            Cancelled, Completed, Failed, Pending, Ready, ResolvedManually, Running, Skipped, WaitingForRetry,
        };
        match self {
            Pending => matches!(next, Ready | Running | Skipped | Cancelled),
            Ready => matches!(next, Running | Failed | Cancelled | Skipped | ResolvedManually | Completed | Pending),
            Running => matches!(next, Completed | Failed | WaitingForRetry | Ready | Skipped | Cancelled | Pending),
            WaitingForRetry => {
                matches!(next, Ready | Running | Failed | Cancelled | Skipped | ResolvedManually | Completed | Pending)
            }
            Failed => matches!(next, Ready | Skipped | ResolvedManually | Completed),
            Cancelled => matches!(next, Ready),
            Completed | Skipped | ResolvedManually => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_their_state() {
        for &state in StepState::ALL {
            assert_eq!(StepState::from_code(state.code()), Some(state));
            assert_eq!(StepState::from_name(state.as_str()), Some(state));
        }
        for &state in TaskState::ALL {
            assert_eq!(TaskState::from_code(state.code()), Some(state));
            assert_eq!(TaskState::from_name(state.as_str()), Some(state));
        }
    }

    #[test]
    fn what_is_completed_never_changes() {
        for &next in StepState::ALL {
            assert!(!StepState::Completed.may_become(next));
        }
        for &next in TaskState::ALL {
            assert!(!TaskState::Completed.may_become(next));
            assert!(!TaskState::Cancelled.may_become(next));
        }
    }

    #[test]
    fn every_state_that_is_not_over_can_end() {
        for &from in StepState::ALL.iter().filter(|state| !state.is_over()) {
            assert!(StepState::ALL.iter().any(|&next| next.is_over() && from.may_become(next)), "{from}");
        }
    }
}
