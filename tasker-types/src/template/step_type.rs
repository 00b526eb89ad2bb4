//! The kinds of steps.

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
}

impl StepType {
    /// All kinds.
    pub const ALL: &[Self] = &[Self::Standard, Self::Decision, Self::DeferredConvergence];

    /// The kind's name, as templates write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Decision => "decision",
            Self::DeferredConvergence => "deferred_convergence",
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
