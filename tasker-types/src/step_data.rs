//! What a handler is given: its task, its step, and the results of the steps before it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::decode::{absent, decode};
use crate::template::StepTemplate;

/// Everything that one attempt of a step may read.
#[derive(Debug, Clone)]
pub struct TaskSequenceStep {
    /// The task that the step belongs to.
    pub task: Arc<TaskForExecution>,
    /// The step itself.
    pub workflow_step: WorkflowStep,
    /// The step as its template describes it.
    pub step_definition: Arc<StepTemplate>,
    /// The results of every step before this one, by step name.
    pub dependency_results: DependencyResults,
    /// What the runtime hands to generated code beside the data: state, cancellation.
    #[doc(hidden)]
    pub scope: Scope,
}

/// The task, as a handler sees it.
#[derive(Debug, Clone)]
pub struct TaskForExecution {
    /// The task's UUID.
    pub task_uuid: Uuid,
    /// The template's name.
    pub name: String,
    /// The template's namespace.
    pub namespace: String,
    /// The template's version.
    pub version: String,
    /// What the task was submitted with.
    pub context: Arc<Value>,
    /// Ties the task to others of the same request.
    pub correlation_id: String,
    /// From -100 to 100; the higher one is claimed first.
    pub priority: i16,
}

/// The step, as a handler sees it.
#[derive(Debug, Clone)]
pub struct WorkflowStep {
    /// The step's public UUID.
    pub workflow_step_uuid: Uuid,
    /// The step's name.
    pub name: String,
    /// The number of this attempt, counted from 1.
    pub attempt: u32,
    /// How many attempts have failed by themselves so far.
    pub failures: u32,
    /// How many attempts may fail before the step does.
    pub max_attempts: u32,
    /// The template's mapping of inputs; the task's context where the template has none.
    pub inputs: Arc<Value>,
    /// What an earlier attempt saved last of how far it had come.
    pub checkpoint: Option<Arc<Value>>,
}

/// The result of a step that came before.
#[derive(Debug, Clone, PartialEq)]
pub struct DependencyResult {
    /// The value; `null` where the step was skipped.
    pub result: Value,
}

/// Results of earlier steps, by step name.
#[derive(Debug, Clone, Default)]
pub struct DependencyResults(Arc<[(Arc<str>, Arc<DependencyResult>)]>);

impl DependencyResults {
    /// The results in `map`.
    #[must_use]
    pub fn new(map: BTreeMap<String, Arc<DependencyResult>>) -> Self {
        Self::from_unsorted(map.into_iter().map(|(name, result)| (name.into(), result)).collect())
    }

    /// These results, each under the name of its step.
    #[must_use]
    pub fn from_unsorted(mut results: Vec<(Arc<str>, Arc<DependencyResult>)>) -> Self {
        results.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Self(results.into())
    }

    /// The result of the step `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&DependencyResult> {
        let at = self.0.binary_search_by(|(found, _)| found.as_ref().cmp(name)).ok()?;
        self.0.get(at).map(|(_, result)| result.as_ref())
    }

    /// All results with their names, in the order of the names, to be kept.
    pub(crate) fn shared(&self) -> impl Iterator<Item = (&str, &Arc<DependencyResult>)> {
        self.0.iter().map(|(name, result)| (name.as_ref(), result))
    }

    /// All results, in the order of the steps' names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DependencyResult)> {
        self.0.iter().map(|(name, result)| (name.as_ref(), result.as_ref()))
    }

    /// How many results there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value of the runtime that travels with a step; only the runtime knows its type.
#[doc(hidden)]
#[derive(Clone, Default)]
pub struct Scope(pub Option<Arc<dyn Any + Send + Sync>>);

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope")
    }
}

/// A value that a handler asked for is missing or has another shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The task's context has no such key.
    #[error("the task's context has no `{key}`")]
    MissingInput {
        /// The key.
        key: String,
    },
    /// The value under the key has another shape.
    #[error("`{key}` of the task's context: {reason}")]
    BadInput {
        /// The key.
        key: String,
        /// What does not fit, and where.
        reason: String,
    },
    /// No step of this name came before.
    #[error("there is no result of a step `{step}`; it must be among the step's dependencies, or before them")]
    MissingDependency {
        /// The step's name.
        step: String,
    },
    /// The step's result has another shape.
    #[error("the result of step `{step}`: {reason}")]
    BadDependency {
        /// The step's name.
        step: String,
        /// What does not fit, and where.
        reason: String,
    },
    /// What an earlier attempt saved has another shape.
    #[error("the last checkpoint of the step: {reason}")]
    BadCheckpoint {
        /// What does not fit, and where.
        reason: String,
    },
    /// The handler's `initialization` has no such key.
    #[error("the handler's `initialization` has no `{key}`")]
    MissingConfig {
        /// The key.
        key: String,
    },
    /// The value in the handler's `initialization` has another shape.
    #[error("`{key}` of the handler's `initialization`: {reason}")]
    BadConfig {
        /// The key.
        key: String,
        /// What does not fit, and where.
        reason: String,
    },
}

impl TaskSequenceStep {
    /// The value of `key` in the task's context; dots lead into objects (`customer.id`).
    ///
    /// An `Option` is `None` where the key is missing or `null`.
    ///
    /// # Errors
    /// The key is missing, or its value is not a `T`.
    pub fn get_input<T: DeserializeOwned>(&self, key: &str) -> Result<T, DataError> {
        match look_up(&self.task.context, key) {
            Some(value) => {
                decode(value).map_err(|wrong| DataError::BadInput { key: wrong.under(key), reason: wrong.reason })
            }
            None => absent().ok_or_else(|| DataError::MissingInput { key: key.to_owned() }),
        }
    }

    /// The value of `key` in the task's context, or `default` where it is missing, `null` or of another shape.
    pub fn get_input_or<T: DeserializeOwned>(&self, key: &str, default: T) -> T {
        match look_up(&self.task.context, key) {
            None | Some(Value::Null) => default,
            Some(value) => T::deserialize(value).unwrap_or(default),
        }
    }

    /// The result of the step `step`.
    ///
    /// An `Option` is `None` where the step was skipped.
    ///
    /// # Errors
    /// No such step came before, or its result is not a `T`.
    pub fn get_dependency_result_column_value<T: DeserializeOwned>(&self, step: &str) -> Result<T, DataError> {
        match self.dependency_results.get(step) {
            Some(found) => decode(&found.result)
                .map_err(|wrong| DataError::BadDependency { step: step.to_owned(), reason: wrong.located() }),
            None => absent().ok_or_else(|| DataError::MissingDependency { step: step.to_owned() }),
        }
    }

    /// What an earlier attempt of this step saved last of how far it had come; `None` where none did. What this attempt saves
    /// itself does not change it.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn last_checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, DataError> {
        let saved = self.workflow_step.checkpoint.as_deref();
        saved.map(decode).transpose().map_err(|wrong| DataError::BadCheckpoint { reason: wrong.located() })
    }
}

/// The value at a dotted path; a key that has dots itself is found first.
#[doc(hidden)]
#[must_use]
pub fn look_up<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    path.split('.').try_fold(value, |at, key| at.get(key))
}
