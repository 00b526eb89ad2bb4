//! Templates: workflows as data.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Graph, RetryPolicy, StepNumber};

/// A workflow: its steps, and which waits for which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// The template's name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// The version, `x.y.z`.
    pub version: String,
    /// What it does.
    pub description: Option<String>,
    /// Whatever its author adds.
    pub metadata: Value,
    /// Keys that a task's context must have.
    pub required_fields: Vec<String>,
    /// The steps, in the order of their numbers.
    pub steps: Vec<StepTemplate>,
}

/// A step of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTemplate {
    /// The step's name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The handler that runs it.
    pub handler: HandlerRef,
    /// The steps that it waits for.
    pub dependencies: Vec<StepNumber>,
    /// Retry, where the template says so; else the handler's attribute and the defaults decide.
    pub retry: Option<RetryPolicy>,
    /// The longest time that an attempt may take, in milliseconds.
    pub timeout_ms: Option<u64>,
}

/// The handler of a step, and what it is made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandlerRef {
    /// The handler's name.
    pub callable: String,
    /// What the handler is made with.
    pub initialization: Value,
}

impl Template {
    /// The graph of the steps.
    #[must_use]
    pub fn graph(&self) -> Graph {
        Graph::default()
    }
}
