//! Durable workflows from annotated async functions: one binary, one file, no lost results.

#[allow(unused_extern_crates, reason = "generated code in this package's own code says `::tasker`, too")]
extern crate self as tasker;

#[cfg(all(feature = "cli", feature = "sqlite"))]
pub use tasker_runtime::app::{App, Demo, app};
pub use tasker_runtime::event::{EventRegistry, FromEvent, Payload, StepEventPublisher, Subscriber};
pub use tasker_runtime::handler::{
    AppState, Branches, CheckpointError, Classify, FromStep, HandlerEntry, Layer, NeededHandler, Next, Problem, Route,
    RustStepHandler, RustStepHandlerRegistry, StartupReport, StepContext, StepFailure, StepHandlerConfig,
};
#[cfg(feature = "http")]
pub use tasker_runtime::http::{ApiBuilder, ApiError, ApiErrorKind, ApiHandler, ApiResponse, StatusCode};
#[cfg(all(feature = "cli", feature = "sqlite"))]
pub use tasker_runtime::main;
/// JSON Schemas of the types that handlers take and give: with the feature `schemas`, what is submitted and what operators
/// give by hand is held against them where the template has no schema of its own.
///
/// ```standalone_crate
/// use tasker::schemars::{self, JsonSchema};
/// use tasker::{RustStepHandlerRegistry, step_handler};
///
/// #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
/// struct Line { sku: String, price: f64 }
///
/// #[step_handler]
/// async fn add_up(#[input] lines: Vec<Line>) -> f64 {
///     lines.iter().map(|line| line.price).sum()
/// }
///
/// # fn main() {
/// let registry = RustStepHandlerRegistry::new();
/// let entry = registry.find_entry("add_up").expect("it is linked");
/// assert_eq!(entry.result_schema.expect("`f64` says its own")()["type"], "number");
/// # }
/// ```
#[cfg(feature = "schemas")]
pub use tasker_runtime::schemars;
pub use tasker_runtime::testing;
pub use tasker_runtime::{register_handler, register_publisher};
pub use tasker_types::*;

pub use tasker_macros::{Route, StepFailure, event_subscriber, step_handler};

/// What a file with handlers needs: `use tasker::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Classify, FromStep, Route, RustStepHandler, StepContext, StepError, StepExecutionResult, StepFailure,
        StepHandlerConfig, TaskSequenceStep, error_result, error_types, step_handler, success_result,
    };
}

#[doc(hidden)]
pub mod __private {
    pub use tasker_runtime::event::private as event;
    pub use tasker_runtime::handler::private::*;
}
