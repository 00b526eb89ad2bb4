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
