//! The vocabulary of tasker: what a task, a step, a template and a result are.
//!
//! Nothing in this crate does I/O, awaits, reads a clock or draws a random number.

mod batch;
#[doc(hidden)]
pub mod decode;
pub mod error_types;
pub mod event;
mod graph;
mod id;
mod identity;
pub mod name;
mod result;
mod retry;
mod state;
mod step_data;
mod step_error;
pub mod suggest;
mod task_request;
pub mod template;
mod time;

pub use batch::{BatchAggregationScenario, BatchProcessingOutcome, BatchWorkerContext, CursorConfig};
pub use event::{LifecycleEvent, LifecycleKind, StepEvent, StepEventContext, Wanted};
pub use graph::{Cycle, Graph};
pub use id::{StepNumber, TaskId, WorkerId};
pub use identity::{IdentityStrategy, IfExists};
pub use result::{StepExecutionMetadata, StepExecutionResult, error_result, success_result};
pub use retry::{Backoff, RetryPolicy, RetrySpec};
pub use state::{StepState, TaskState};
pub use step_data::{
    DataError, DependencyResult, DependencyResults, Scope, TaskForExecution, TaskSequenceStep, WorkflowStep, look_up,
};
pub use step_error::StepError;
pub use task_request::{Start, TaskRequest};
pub use template::{
    BatchSpec, DeliveryMode, EventCondition, EventSpec, FailureStrategy, HandlerRef, InputSource, StalenessAction,
    StepTemplate, StepType, Template, canonical_json,
};
pub use time::{BadTimestamp, Timestamp};

/// The task of a step, by the name that some documents use.
pub type TaskForOrchestration = TaskForExecution;
/// A step with its name, by the name that some documents use.
pub type WorkflowStepWithName = WorkflowStep;
