//! What the engine refuses, and why.

use crate::core::Refusal;
use crate::store::StoreError;

/// Why the engine did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task's rows do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such template in the database.
    #[error("there is no template `{name}` in namespace `{namespace}`{}", list(.known))]
    NoTemplate {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// The templates that there are.
        known: Vec<String>,
    },
    /// The template has no such version.
    #[error("template `{name}` has no version {version}; it has {}", .known.join(", "))]
    NoVersion {
        /// The template.
        name: String,
        /// The version.
        version: String,
        /// The versions that there are.
        known: Vec<String>,
    },
    /// A template's steps need handlers that this binary does not have.
    #[error("{0}")]
    NoHandler(String),
    /// A template names a publisher that is not in this binary.
    #[error("{0}")]
    NoPublisher(String),
    /// Subscribers or publishers contradict each other, or miss something: nothing was started.
    #[error("{0}")]
    BadEvents(String),
    /// The context is not what the template takes.
    #[error("the context {0}")]
    BadContext(String),
    /// The request itself is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// What was done by hand cannot be told from what a handler did without a reason.
    #[error("{0} by hand needs a reason, for the record")]
    NoReason(&'static str),
    /// The result is none that the step can have.
    #[error("{0}")]
    BadResult(String),
    /// A schema of a template cannot be used.
    #[error("{0}")]
    BadSchema(String),
    /// There is no such task.
    #[error("there is no task {0}")]
    NoTask(String),
    /// The engine was stopped.
    #[error("the engine was stopped")]
    Stopped,
}

impl Error {
    /// The stable code that CLI and API show.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::NoTemplate { .. } => "E201",
            Self::NoVersion { .. } => "E202",
            Self::NoHandler(_) => "E203",
            Self::NoPublisher(_) => "E216",
            Self::BadEvents(_) => "E217",
            Self::BadContext(_) => "E204",
            Self::BadRequest(_) => "E205",
            Self::NoTask(_) => "E102",
            Self::NoReason(_) => "E212",
            Self::BadResult(_) => "E213",
            Self::BadSchema(_) => "E214",
            Self::Stopped => "E207",
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) }
}
