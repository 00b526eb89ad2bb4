//! A closure in the place of a handler.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tasker_types::{StepExecutionResult, TaskSequenceStep};

use crate::handler::{RustStepHandler, StepFailure, StepHandlerConfig};

/// What the closure of a mock returns: the step's value, or why it failed.
pub type MockResult = anyhow::Result<Value>;

type Run = dyn Fn(&TaskSequenceStep) -> MockResult + Send + Sync;

/// A closure in the place of a handler.
pub struct MockHandler {
    name: Arc<str>,
    run: Arc<Run>,
}

impl MockHandler {
    /// A handler of this name that runs `run`.
    #[must_use]
    pub fn new(name: Arc<str>, run: Arc<Run>) -> Self {
        Self { name, run }
    }
}

#[async_trait]
impl RustStepHandler for MockHandler {
    fn new(_: StepHandlerConfig) -> Self {
        Self { name: "mock".into(), run: Arc::new(|_| Ok(Value::Null)) }
    }

    fn name(&self) -> &str {
        &self.name
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let uuid = step.workflow_step.workflow_step_uuid;
        Ok(match (self.run)(step) {
            Ok(value) => StepExecutionResult::success(uuid, value, None),
            Err(error) => error.into_step_error().into_result(uuid),
        })
    }
}
