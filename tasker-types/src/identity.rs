//! How requests for tasks are told apart: which of them mean the same task.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a template tells requests apart that come without an idempotency key. A request with a key is known by it, whatever
/// the template says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityStrategy {
    /// Every request means a new task.
    #[default]
    AlwaysUnique,
    /// Requests with the same context mean the same task.
    Strict,
    /// Every request has to come with an idempotency key.
    CallerProvided,
}

impl IdentityStrategy {
    /// All strategies.
    pub const ALL: &[Self] = &[Self::AlwaysUnique, Self::Strict, Self::CallerProvided];

    /// The strategy's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlwaysUnique => "always_unique",
            Self::Strict => "strict",
            Self::CallerProvided => "caller_provided",
        }
    }

    /// The strategy of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|strategy| strategy.as_str() == name)
    }

    /// Whether it is what a template has that says nothing.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for IdentityStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of a request that means a task that there is already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfExists {
    /// It is answered with that task, in whatever state it is.
    #[default]
    Attach,
    /// It is refused.
    Conflict,
}

impl IfExists {
    /// Whether it is what a request has that says nothing.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
