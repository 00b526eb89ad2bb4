//! The kinds of steps, and what a step that makes batches says of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of step it is: what its result means for the steps after it, and what it takes for a step to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepType {
    /// It runs when all its dependencies are satisfied, and its result is a value like any other. Where a decision did not
    /// choose one of its dependencies, it is skipped too.
    #[default]
    Standard,
    /// Its result names the steps after it that go on; those that it does not choose are skipped.
    Decision,
    /// It joins branches of a decision: it runs when all its dependencies are over and at least one of them ran.
    DeferredConvergence,
    /// Its result cuts the work into pieces: one worker step is made for each of them.
    Batchable,
    /// What the worker steps of a batchable one are made after: it never runs itself, and stands for all of them.
    BatchWorker,
}

/// What a batchable step says of its workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSpec {
    /// The most workers that are under way at once; all of them where this is `None`.
    pub parallelism: Option<u32>,
    /// What the failure of one worker means for the others.
    pub failure_strategy: FailureStrategy,
}

/// What the failure of one worker of a batch means for the others, and for the step that waits for all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureStrategy {
    /// No further worker begins, and those that wait are cancelled; a retry takes them up again.
    #[default]
    FailFast,
    /// The others go on to their end; the step that waits for all of them does not run, and a retry tries what failed again.
    Isolate,
    /// A worker that failed is skipped over: the step that waits runs without its result.
    ContinueOnFailure,
}

impl FailureStrategy {
    /// All of them.
    pub const ALL: &[Self] = &[Self::FailFast, Self::Isolate, Self::ContinueOnFailure];

    /// Its name, as templates write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailFast => "fail_fast",
            Self::Isolate => "isolate",
            Self::ContinueOnFailure => "continue_on_failure",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|strategy| strategy.as_str() == name)
    }
}

impl StepType {
    /// All kinds.
    pub const ALL: &[Self] =
        &[Self::Standard, Self::Decision, Self::DeferredConvergence, Self::Batchable, Self::BatchWorker];

    /// The kind's name, as templates write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Decision => "decision",
            Self::DeferredConvergence => "deferred_convergence",
            Self::Batchable => "batchable",
            Self::BatchWorker => "batch_worker",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// Whether it is the kind that a step has where its template names none.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for StepType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
