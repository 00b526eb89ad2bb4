//! What handlers written with the macros do at run time: one attempt each, without an engine.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may stop where it stands")]

#[cfg(feature = "http")]
mod api;
mod arguments;
mod blocking;
mod classes;
mod documents;
mod entries;
mod impls;
mod registry;
mod routes;
#[cfg(all(feature = "schemas", feature = "testing"))]
mod schemas;
#[cfg(feature = "testing")]
mod subscribers;

use std::sync::Arc;

use serde_json::Value;
use tasker::{RustStepHandlerRegistry, StepExecutionResult, StepHandlerConfig, TaskSequenceStep};
use tasker_runtime::handler::{Layer, run_attempt};

/// Runs one attempt of the linked handler `name`.
async fn run(name: &str, step: &TaskSequenceStep) -> StepExecutionResult {
    run_with(name, Value::Null, step).await
}

/// The same, for a template that gives it this `initialization`.
async fn run_with(name: &str, initialization: Value, step: &TaskSequenceStep) -> StepExecutionResult {
    let registry = RustStepHandlerRegistry::new();
    let found = registry.find(name, "").unwrap_or_else(|| panic!("`{name}` is linked"));
    let handler = found.build(StepHandlerConfig::from(initialization)).expect("it can be made");
    let layers: &[Arc<dyn Layer>] = &[];
    run_attempt(handler.as_ref(), layers, step).await
}

/// What a failed attempt says: its text, its type, whether another try makes sense.
fn failure(result: &StepExecutionResult) -> (&str, &str, bool) {
    assert!(!result.success, "{result:?}");
    (
        result.error_message.as_deref().unwrap_or_default(),
        result.error_type().unwrap_or_default(),
        result.metadata.retryable,
    )
}
