//! Events: what is told of a step or a task, and to whom.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::name::check_handler_name;

/// How the names of the engine's own events begin.
pub const RESERVED: &str = "tasker.";

/// Which step an event is of, and what came out of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepEventContext {
    /// The task.
    pub task_uuid: String,
    /// The step; empty where the event is of the task itself.
    pub step_uuid: String,
    /// The step's name; empty where the event is of the task itself.
    pub step_name: String,
    /// The namespace of the task's template.
    pub namespace: String,
    /// Ties the task to others of the same request.
    pub correlation_id: String,
    /// The step's result, where it completed: an object as it stands, any other value under the key `value`.
    pub result: Option<HashMap<String, Value>>,
    /// The rest: the error (`message`, `error_type`, `error_code`, `retryable`), the handler's `metadata`.
    pub metadata: Option<HashMap<String, Value>>,
}

impl StepEventContext {
    /// A result as an event has it: an object as it stands, any other value under the key `value`.
    ///
    /// ```
    /// use serde_json::json;
    /// use tasker_types::StepEventContext;
    ///
    /// assert_eq!(StepEventContext::fields(json!({ "total": 5 }))["total"], 5);
    /// assert_eq!(StepEventContext::fields(json!(36))["value"], 36);
    /// ```
    #[must_use]
    pub fn fields(value: Value) -> HashMap<String, Value> {
        match value {
            Value::Object(fields) => fields.into_iter().collect(),
            other => HashMap::from([("value".to_owned(), other)]),
        }
    }
}

/// An event, as a subscriber is given it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEvent {
    /// Its name.
    pub name: String,
    /// Where it stands among all stored events of the database: the same at each delivery, and growing with every event of a
    /// task. `None` where it is told at once and not stored.
    pub position: Option<i64>,
    /// The attempt that it is of; 0 where it is of the task, or of a step that no attempt ended.
    pub attempt: u32,
    /// Which delivery of it to this subscriber this is, counted from 1, as far as earlier ones are known to have failed.
    pub delivery: u32,
    /// When the attempt ended, by the clock of the database.
    pub published_at: Timestamp,
    /// What it says: what its publisher made, else the step's result, else the error.
    pub payload: Value,
    /// Which step it is of.
    pub context: StepEventContext,
}

macro_rules! lifecycle {
    ($($name:ident $text:literal $about:literal)+) => {
        /// What the engine itself tells of tasks and steps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum LifecycleKind {
            $(#[doc = $about] $name,)+
        }

        impl LifecycleKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name of its events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("tasker.", $text),)+
                }
            }
        }
    };
}

lifecycle! {
    TaskCompleted "task.completed" "A task completed."
    TaskFailed "task.failed" "A task failed: nothing of it can run any more."
    TaskCancelled "task.cancelled" "A task was cancelled, and nothing of it runs any more."
    TaskResolvedManually "task.resolved_manually" "An operator closed a failed task."
    StepCompleted "step.completed" "A step completed."
    StepFailed "step.failed" "A step failed for good."
    StepRetrying "step.retrying" "An attempt failed, and the step is tried again."
    StepSkipped "step.skipped" "A step was skipped."
    StepCancelled "step.cancelled" "A step that had begun ended with the cancellation of its task."
    StepResolvedManually "step.resolved_manually" "An operator closed a step."
}

impl LifecycleKind {
    /// The one whose events have this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for LifecycleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A lifecycle event, typed.
#[derive(Debug, Clone, PartialEq)]
pub struct LifecycleEvent {
    /// What happened.
    pub kind: LifecycleKind,
    /// When, and to which task and step.
    pub event: StepEvent,
}

/// Which lifecycle events somebody subscribes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted(u32);

impl Wanted {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Those that one of these patterns matches.
    pub fn by<'p>(patterns: impl IntoIterator<Item = &'p str> + Clone) -> Self {
        let wanted = LifecycleKind::ALL
            .iter()
            .filter(|kind| patterns.clone().into_iter().any(|one| matches(one, kind.as_str())));
        Self(wanted.fold(0, |bits, kind| bits | kind.bit()))
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, kind: LifecycleKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The number that stands for them in the database.
    #[must_use]
    pub const fn bits(self) -> i32 {
        self.0.cast_signed()
    }

    /// Those that the number stands for.
    #[must_use]
    pub const fn from_bits(bits: i32) -> Self {
        Self(bits.cast_unsigned())
    }
}

/// Whether events of this name are those that the pattern means: the name itself; `order.*`, every name that begins with
/// `order.`; `*`, every name but those of the engine's own events.
///
/// ```
/// use tasker_types::event::matches;
///
/// assert!(matches("order.validated", "order.validated"));
/// assert!(matches("order.*", "order.line.added") && !matches("order.*", "orders.added"));
/// assert!(matches("*", "order.validated") && !matches("*", "tasker.task.failed"));
/// assert!(matches("tasker.task.*", "tasker.task.failed"));
/// ```
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => !name.starts_with(RESERVED),
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// Checks a pattern that a subscriber takes events by.
///
/// ```
/// use tasker_types::event::check_pattern;
///
/// assert!(["order.validated", "order.*", "*", "tasker.task.failed"].iter().all(|good| check_pattern(good).is_ok()));
/// assert!(["", "order*", "*.validated", "Order.Validated", "tasker.task.faild"].iter().all(|bad| check_pattern(bad).is_err()));
/// ```
///
/// # Errors
/// What is wrong with it, and what would do where that can be guessed.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    if pattern == "*" {
        return Ok(());
    }
    if let Some(prefix) = pattern.strip_suffix(".*") {
        return check_handler_name(prefix);
    }
    if pattern.contains('*') {
        return Err(format!(
            "`{pattern}` has a `*` elsewhere than after its last dot: write `order.*`, or `*` for all"
        ));
    }
    check_handler_name(pattern)?;
    if !pattern.starts_with(RESERVED) || LifecycleKind::from_name(pattern).is_some() {
        return Ok(());
    }
    let names = || LifecycleKind::ALL.iter().map(|kind| kind.as_str());
    Err(match crate::suggest::nearest(pattern, names()) {
        Some(near) => format!("there is no event `{pattern}`; did you mean \"{near}\"?"),
        None => format!("there is no event `{pattern}`: there are {}", names().collect::<Vec<_>>().join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_what_a_pattern_matches() {
        let tasks = Wanted::by(["order.*", "tasker.task.*"]);
        assert!(tasks.has(LifecycleKind::TaskFailed) && !tasks.has(LifecycleKind::StepFailed));
        assert_eq!(Wanted::from_bits(tasks.bits()), tasks);
        assert!(Wanted::by(["*"]).is_none(), "the engine's own events are asked for by their names");
        let all = Wanted::by(["tasker.*"]);
        assert!(
            LifecycleKind::ALL
                .iter()
                .all(|&kind| all.has(kind) && LifecycleKind::from_name(kind.as_str()) == Some(kind))
        );
        assert_eq!(tasks.and(Wanted::by(["tasker.step.*"])), all);
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_refused() {
        let refusal = |pattern| check_pattern(pattern).unwrap_err();
        assert_eq!(
            refusal("tasker.task.faild"),
            "there is no event `tasker.task.faild`; did you mean \"tasker.task.failed\"?"
        );
        assert!(refusal("order.*.added").contains("elsewhere than after its last dot"));
        assert!(refusal("Order.*").contains("did you mean \"order\"?"));
    }
}
