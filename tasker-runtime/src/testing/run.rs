//! What became of a task under test.

use std::time::Duration;

use serde_json::Value;
use tasker_types::{StepState, TaskState};

use crate::store::{StepView, TaskView};

/// What became of a task. The assertions panic with the whole task where they do not hold, and can be chained.
#[derive(Debug, Clone)]
pub struct TestRun {
    view: TaskView,
}

impl TestRun {
    pub(super) fn new(view: TaskView) -> Self {
        Self { view }
    }

    /// The task with its steps.
    #[must_use]
    pub fn view(&self) -> &TaskView {
        &self.view
    }

    /// The task's state.
    #[must_use]
    pub fn state(&self) -> TaskState {
        self.view.row.state
    }

    /// The step `name`.
    ///
    /// # Panics
    /// There is no such step.
    #[must_use]
    pub fn step(&self, name: &str) -> &StepView {
        let found = self.view.steps.iter().find(|step| step.name == name);
        found.unwrap_or_else(|| panic!("there is no step `{name}`{self}"))
    }

    /// The value of the step `name`.
    ///
    /// # Panics
    /// There is no such step, or it has no value.
    #[must_use]
    pub fn result(&self, name: &str) -> &Value {
        self.step(name).result.as_ref().unwrap_or_else(|| panic!("step `{name}` has no result{self}"))
    }

    /// What went wrong in the step `name`: its message, and those of the attempts before.
    #[must_use]
    pub fn errors(&self, name: &str) -> Vec<String> {
        let step = self.step(name);
        let details = step.attempts.iter().map(|attempt| &attempt.detail).chain([&step.detail]);
        details.flatten().filter_map(|detail| detail.get("message")?.as_str().map(str::to_owned)).collect()
    }

    /// The time between the ends of an attempt and the begin of the next, for each attempt of the step `name`.
    #[must_use]
    pub fn delays(&self, name: &str) -> Vec<Duration> {
        let step = self.step(name);
        let begins = step.attempts.iter().map(|attempt| attempt.claimed_at).skip(1).chain([step.claimed_at]);
        step.attempts.iter().zip(begins).filter_map(|(attempt, next)| Some(next?.since(attempt.finished_at))).collect()
    }

    /// The task completed.
    ///
    /// # Panics
    /// It did not.
    pub fn assert_completed(&self) -> &Self {
        assert_eq!(self.state(), TaskState::Completed, "{self}");
        self
    }

    /// The task failed.
    ///
    /// # Panics
    /// It did not.
    pub fn assert_failed(&self) -> &Self {
        assert_eq!(self.state(), TaskState::Failed, "{self}");
        self
    }

    /// The step is in this state.
    ///
    /// # Panics
    /// It is not.
    pub fn assert_step(&self, name: &str, state: StepState) -> &Self {
        assert_eq!(self.step(name).state, state, "step `{name}`{self}");
        self
    }

    /// The step has this value.
    ///
    /// # Panics
    /// It has not.
    pub fn assert_result(&self, name: &str, value: &Value) -> &Self {
        assert_eq!(self.result(name), value, "step `{name}`{self}");
        self
    }

    /// The steps that were skipped, in the order of the template.
    #[must_use]
    pub fn skipped(&self) -> Vec<&str> {
        let skipped = self.view.steps.iter().filter(|step| step.state == StepState::Skipped);
        skipped.map(|step| step.name.as_str()).collect()
    }

    /// These steps were skipped, in any order, and no others.
    ///
    /// # Panics
    /// Another one was, or one of them was not.
    pub fn assert_skipped<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> &Self {
        let (mut skipped, mut names) = (self.skipped(), names.into_iter().collect::<Vec<_>>());
        skipped.sort_unstable();
        names.sort_unstable();
        assert_eq!(skipped, names, "the skipped steps{self}");
        self
    }

    /// Each of these steps ended before the next one began.
    ///
    /// # Panics
    /// One did not.
    pub fn assert_order<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> &Self {
        let names: Vec<&str> = names.into_iter().collect();
        for pair in names.windows(2) {
            if let [first, second] = pair {
                let (ended, began) = (self.step(first).finished_at, self.step(second).claimed_at);
                let holds = matches!((ended, began), (Some(ended), Some(began)) if ended <= began);
                assert!(holds, "`{first}` did not end before `{second}` began{self}");
            }
        }
        self
    }
}

/// The task as an assertion shows it.
impl std::fmt::Display for TestRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\ntask {} is {}:", self.view.row.id, self.state())?;
        for step in &self.view.steps {
            write!(f, "\n  {:<24} {:<18} attempt {}", step.name, step.state, step.attempt)?;
            for message in self.errors(&step.name) {
                write!(f, "\n    {message}")?;
            }
        }
        Ok(())
    }
}
