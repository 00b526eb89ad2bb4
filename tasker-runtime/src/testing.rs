//! For tests of handlers and workflows.

#[cfg(feature = "testing")]
mod app;
mod complete;
#[cfg(feature = "testing")]
mod crash;
#[cfg(feature = "testing")]
mod mock;
#[cfg(feature = "testing")]
mod run;
#[cfg(feature = "testing")]
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tasker_types::{
    DependencyResult, DependencyResults, StepNumber, StepTemplate, TaskForExecution, TaskId, TaskSequenceStep,
    WorkflowStep,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[cfg(feature = "testing")]
pub use self::app::TestApp;
pub use self::complete::{assert_complete, assert_complete_in};
#[cfg(feature = "testing")]
pub use self::crash::{Crash, Crashes, When};
#[cfg(feature = "testing")]
pub use self::mock::{MockHandler, MockResult};
#[cfg(feature = "testing")]
pub use self::run::TestRun;
use crate::handler::{AppState, AttemptScope};

/// What a handler is given, for a task with this context: the first attempt of a step that depends on nothing.
///
/// ```
/// use serde_json::json;
/// use tasker_runtime::testing::create_test_step_data;
///
/// let step_data = create_test_step_data(json!({ "customer": { "id": 123 } }));
/// assert_eq!(step_data.get_input::<i64>("customer.id").unwrap(), 123);
/// ```
#[must_use]
pub fn create_test_step_data(context: Value) -> TaskSequenceStep {
    TestStep::new(context).build()
}

/// What a handler is given, put together piece by piece.
///
/// ```
/// use serde_json::json;
/// use tasker_runtime::testing::TestStep;
///
/// let step_data = TestStep::new(json!({})).dependency("validate_order", json!({ "order_total": 59.98 })).attempt(2).build();
/// assert_eq!(step_data.workflow_step.attempt, 2);
/// assert_eq!(step_data.dependency_results.get("validate_order").unwrap().result["order_total"], 59.98);
/// ```
#[derive(Debug)]
#[must_use]
pub struct TestStep {
    context: Value,
    inputs: Option<Value>,
    checkpoint: Option<Value>,
    name: String,
    dependencies: BTreeMap<String, Arc<DependencyResult>>,
    attempt: u32,
    max_attempts: u32,
    state: AppState,
    cancellation: CancellationToken,
}

impl TestStep {
    /// The first of three attempts of a step named `test_step`, of a task with this context.
    pub fn new(context: Value) -> Self {
        Self {
            context,
            inputs: None,
            checkpoint: None,
            name: "test_step".to_owned(),
            dependencies: BTreeMap::new(),
            attempt: 1,
            max_attempts: 3,
            state: AppState::default(),
            cancellation: CancellationToken::new(),
        }
    }

    /// Sets the step's name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the step's inputs; without, they are the task's context.
    pub fn inputs(mut self, inputs: Value) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// Sets what an earlier attempt saved of how far it had come.
    pub fn checkpoint(mut self, saved: Value) -> Self {
        self.checkpoint = Some(saved);
        self
    }

    /// Adds the result of an earlier step; `null` for one that was skipped.
    pub fn dependency(mut self, step: impl Into<String>, result: Value) -> Self {
        self.dependencies.insert(step.into(), Arc::new(DependencyResult { result }));
        self
    }

    /// Sets the number of the attempt, counted from 1; the ones before it have failed.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets how many attempts may fail.
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// Adds a value to the application's state.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.state.insert(value);
        self
    }

    /// Sets the token that tells the attempt to stop.
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// What the handler is given.
    #[must_use]
    pub fn build(self) -> TaskSequenceStep {
        let task = TaskId::from_uuid(Uuid::now_v7());
        let context = Arc::new(self.context);
        TaskSequenceStep {
            workflow_step: WorkflowStep {
                workflow_step_uuid: task.step_uuid(StepNumber(0)),
                name: self.name.clone(),
                attempt: self.attempt,
                failures: self.attempt.saturating_sub(1),
                max_attempts: self.max_attempts,
                inputs: self.inputs.map_or_else(|| context.clone(), Arc::new),
                checkpoint: self.checkpoint.map(Arc::new),
            },
            task: Arc::new(TaskForExecution {
                task_uuid: task.uuid(),
                name: "test".to_owned(),
                namespace: "default".to_owned(),
                version: "0.1.0".to_owned(),
                context,
                correlation_id: task.uuid().to_string(),
                priority: 0,
            }),
            step_definition: Arc::new(StepTemplate::named(self.name)),
            dependency_results: DependencyResults::new(self.dependencies),
            scope: AttemptScope::new(Arc::new(self.state), self.cancellation).into_scope(),
        }
    }
}
