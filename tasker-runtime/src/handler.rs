//! The handler surface: what a handler is, how it is found, what it is given, and how one attempt of it runs.
//!
//! Nothing here knows of stores, tasks in flight or templates: the engine calls in, never the other way round.

mod attempt;
mod config;
mod context;
mod edges;
mod entry;
mod extract;
mod failure;
mod layer;
#[doc(hidden)]
pub mod private;
mod progress;
mod register;
mod registry;
mod report;
mod returns;
mod route;
mod schema;
mod state;
#[cfg(feature = "http")]
mod writes;

use async_trait::async_trait;
use tasker_types::{StepExecutionResult, TaskSequenceStep};

pub(crate) use attempt::panic_text;
pub use attempt::run_attempt;
pub use config::StepHandlerConfig;
pub use context::{AttemptScope, StepContext};
pub use entry::{DependencySpec, HandlerEntry, StateNeed};
pub use extract::FromStep;
pub use failure::{Classify, StepFailure};
pub use layer::{Layer, Next};
pub use progress::{CheckpointError, Claim, Progress, SaveCheckpoint, Saving};
pub use registry::{FoundBy, Resolved, RustStepHandlerRegistry};
pub use report::{NeededHandler, Problem, StartupReport};
pub use route::{Branches, Route};
pub use schema::{InputSpec, MakeSchema};
pub use state::AppState;
#[cfg(feature = "http")]
pub(crate) use writes::Writes;

/// What runs a step. `#[step_handler]` writes it for a function; by hand it looks as below.
///
/// ```
/// use async_trait::async_trait;
/// use serde_json::json;
/// use tasker_runtime::handler::{RustStepHandler, StepHandlerConfig};
/// use tasker_types::{StepExecutionResult, TaskSequenceStep, success_result};
///
/// struct Greet {
///     greeting: String,
/// }
///
/// #[async_trait]
/// impl RustStepHandler for Greet {
///     fn new(config: StepHandlerConfig) -> Self {
///         Self { greeting: config.get_or("greeting", "hello".to_owned()) }
///     }
///
///     fn name(&self) -> &str {
///         "greet"
///     }
///
///     async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
///         let name: String = step.get_input("name")?;
///         let text = format!("{}, {name}", self.greeting);
///         Ok(success_result(step.workflow_step.workflow_step_uuid, json!({ "text": text }), 0, None))
///     }
/// }
/// ```
#[async_trait]
pub trait RustStepHandler: Send + Sync {
    /// Makes the handler with the `initialization` that the template gives it.
    fn new(config: StepHandlerConfig) -> Self
    where
        Self: Sized;

    /// The name that templates call it by.
    fn name(&self) -> &str;

    /// Runs one attempt of a step.
    ///
    /// # Errors
    /// An error is unrecoverable: the step fails and is not tried again, unless the error is a
    /// [`StepError`](tasker_types::StepError) that says otherwise. A failure that should be
    /// tried again is otherwise a result: [`error_result`](tasker_types::error_result).
    async fn call(&self, step_data: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult>;
}
