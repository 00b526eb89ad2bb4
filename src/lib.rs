//! Durable workflows from annotated async functions: one binary, one file, no lost results.

#[cfg(all(feature = "cli", feature = "sqlite"))]
pub use tasker_runtime::app::{App, Demo, app};
pub use tasker_runtime::handler::{
    AppState, Layer, Next, RustStepHandler, RustStepHandlerRegistry, StepContext, StepHandlerConfig,
};
#[cfg(all(feature = "cli", feature = "sqlite"))]
pub use tasker_runtime::main;
pub use tasker_runtime::testing;
pub use tasker_types::*;
