//! Which tasks are meant: by state, by template, and by what of them failed.

use serde_json::Value;
use tasker_types::{StepState, TaskState};

use crate::core::{Pinned, ResultRow, TaskRow};

/// Which tasks a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// In one of these states. Where empty, in any; of those of which something failed, those that failed.
    pub states: Vec<TaskState>,
    /// Of the template of this name.
    pub template: Option<String>,
    /// In this namespace.
    pub namespace: Option<String>,
    /// With a failed step of this name; of workers of a batch, one of them or the one that they are made after.
    pub step: Option<String>,
    /// With a failed step whose error has this code, or is of this class. It is the step of the name, where one is given.
    pub error: Option<String>,
}

impl TaskFilter {
    /// The states of the tasks that are meant; any where empty.
    pub(super) fn states(&self) -> &[TaskState] {
        if self.states.is_empty() && self.is_about_failures() { &[TaskState::Failed] } else { &self.states }
    }

    /// Whether it takes a look at failed steps.
    pub(super) fn is_about_failures(&self) -> bool {
        self.step.is_some() || self.error.is_some()
    }

    /// Whether tasks of this template can be meant.
    pub(super) fn admits_template(&self, pinned: &Pinned) -> bool {
        self.template.as_ref().is_none_or(|name| *name == pinned.template.name)
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == pinned.template.namespace)
    }

    /// Whether the task is meant, given the steps of it that are over.
    pub(super) fn admits<'r>(&self, row: &TaskRow, mut over: impl Iterator<Item = &'r ResultRow>) -> bool {
        (self.states().is_empty() || self.states().contains(&row.state))
            && self.admits_template(&row.pinned)
            && (!self.is_about_failures() || over.any(|step| self.admits_step(&row.pinned, step)))
    }

    /// Whether this step of a task has failed as is asked for.
    pub(super) fn admits_step(&self, pinned: &Pinned, step: &ResultRow) -> bool {
        let is_named = |name: &String| pinned.named(name).is_some_and(|named| named.has(step.number));
        step.outcome == StepState::Failed
            && self.step.as_ref().is_none_or(is_named)
            && self.error.as_ref().is_none_or(|error| has_failed_so(step, error))
    }
}

fn has_failed_so(step: &ResultRow, error: &str) -> bool {
    let detail: Value = step.detail.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    ["error_code", "error_type"].iter().any(|key| detail.get(key).and_then(Value::as_str) == Some(error))
}
