//! What is run while everything goes wrong: its handlers keep a journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tasker_runtime::engine::Engine;
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_types::{StepExecutionResult, TaskId, TaskSequenceStep, error_types, template};

use crate::dice::mix;
use crate::journal::{End, Pen, Step};

/// Twelve steps: a root, two layers that fan out and in, and a chain. They may be lost more often than by default: here
/// it is the machine that dies, not the handler.
pub(crate) const DAG: &str = "
name: dag
steps:
  - { name: a, handler: work, retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: b, handler: work, dependencies: [a], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: c, handler: work, dependencies: [a], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: d, handler: work, dependencies: [a], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: e, handler: work, dependencies: [b, c], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: f, handler: work, dependencies: [c, d], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: g, handler: work, dependencies: [b, d], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: h, handler: work, dependencies: [e, f, g], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: i, handler: work, dependencies: [h], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: j, handler: work, dependencies: [h], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: k, handler: work, dependencies: [i, j], retry: { max_losses: 1000, backoff_base_ms: 20 } }
  - { name: l, handler: work, dependencies: [k, a], retry: { max_losses: 1000, backoff_base_ms: 20 } }
";
/// Every end of an attempt is told.
const TELLING: &str = "
name: telling
steps:
  - name: a
    handler: work
    retry: { max_losses: 1000, backoff_base_ms: 20 }
    publishes_events: [{ name: step.done }, { name: step.again, condition: retryable_failure }]
  - name: b
    handler: work
    dependencies: [a]
    retry: { max_losses: 1000, backoff_base_ms: 20 }
    publishes_events: [{ name: step.done }, { name: step.again, condition: retryable_failure }]
  - name: c
    handler: work
    dependencies: [a]
    retry: { max_losses: 1000, backoff_base_ms: 20 }
    publishes_events: [{ name: step.done }, { name: step.again, condition: retryable_failure }]
  - name: d
    handler: work
    dependencies: [b, c]
    retry: { max_losses: 1000, backoff_base_ms: 20 }
    publishes_events: [{ name: step.done }, { name: step.again, condition: retryable_failure }]
";
const KILLER: &str = "
name: killer
steps: [{ name: kill, handler: kill }]
";
const INNOCENT: &str = "
name: innocent
steps: [{ name: work, handler: work }]
";
/// Its first attempt comes to its end when it is let go.
const LATE: &str = "
name: late
steps: [{ name: late, handler: late, retry: { backoff_base_ms: 20 } }]
";

/// Takes a few milliseconds and returns the sum of what came before plus one; one step in 16 fails at first.
struct Work(Pen);

#[async_trait]
impl RustStepHandler for Work {
    fn new(_: StepHandlerConfig) -> Self {
        Self(Pen::of(&place()))
    }

    fn name(&self) -> &str {
        "work"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let (at, attempt) = attempt_of(step);
        self.0.begin(at, attempt);
        let uuid = step.workflow_step.workflow_step_uuid.as_u128();
        let chance = mix(u64::try_from(uuid & u128::from(u64::MAX)).unwrap());
        tokio::time::sleep(Duration::from_millis(1 + chance % 5)).await;
        let end = if step.workflow_step.failures == 0 && (chance >> 8).is_multiple_of(16) {
            End::Retry
        } else {
            End::Success(value(step.dependency_results.iter().map(|(_, before)| &before.result), attempt))
        };
        self.0.end(at, attempt, &end);
        Ok(result(step, end))
    }
}

/// What the step returns that has seen these results.
pub(crate) fn value<'v>(before: impl Iterator<Item = &'v Value>, attempt: u32) -> Value {
    let sum: i64 = before.map(|value| value["sum"].as_i64().unwrap()).sum();
    json!({ "sum": sum + 1, "attempt": attempt, "process": std::process::id() })
}

/// Takes its process with it.
struct Kill(Pen);

#[async_trait]
impl RustStepHandler for Kill {
    fn new(_: StepHandlerConfig) -> Self {
        Self(Pen::of(&place()))
    }

    fn name(&self) -> &str {
        "kill"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let (at, attempt) = attempt_of(step);
        self.0.begin(at, attempt);
        std::process::abort();
    }
}

/// The first attempt goes on until there is the file that its task names, and then ends as its task says. A later one
/// succeeds at once.
struct Late(Pen);

#[async_trait]
impl RustStepHandler for Late {
    fn new(_: StepHandlerConfig) -> Self {
        Self(Pen::of(&place()))
    }

    fn name(&self) -> &str {
        "late"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let (at, attempt) = attempt_of(step);
        let (go, kind): (String, String) = (step.get_input("go")?, step.get_input("kind")?);
        self.0.begin(at, attempt);
        while attempt == 1 && !place().join(&go).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let end = match kind.as_str() {
            "failure" if attempt == 1 => End::Failure,
            "retry" if attempt == 1 => End::Retry,
            _ => End::Success(value(std::iter::empty(), attempt)),
        };
        self.0.end(at, attempt, &end);
        Ok(result(step, end))
    }
}

fn attempt_of(step: &TaskSequenceStep) -> (Step, u32) {
    (TaskId::of_step(step.workflow_step.workflow_step_uuid).unwrap(), step.workflow_step.attempt)
}

fn result(step: &TaskSequenceStep, end: End) -> StepExecutionResult {
    let uuid = step.workflow_step.workflow_step_uuid;
    let failed =
        |retryable| StepExecutionResult::failure(uuid, "as it was told", error_types::HANDLER_ERROR, retryable);
    match end {
        End::Success(value) => StepExecutionResult::success(uuid, value, None),
        End::Retry => failed(true),
        End::Failure => failed(false),
    }
}

/// The variable that tells a worker process where its test keeps its files.
pub(crate) const PLACE: &str = "TASKER_FAULTS_PLACE";

/// The folder of the test.
fn place() -> PathBuf {
    PathBuf::from(std::env::var_os(PLACE).unwrap_or_default())
}

pub(crate) fn registry(place: &Path) -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::empty();
    let pen = Pen::of(place);
    let (work, kill, late) = (pen.clone(), pen.clone(), pen);
    registry.register("work", move || Box::new(Work(work.clone())));
    registry.register("kill", move || Box::new(Kill(kill.clone())));
    registry.register("late", move || Box::new(Late(late.clone())));
    registry
}

/// Stores the templates, as soon as the database takes them.
pub(crate) async fn add_templates(engine: &Engine) {
    for text in [DAG, TELLING, KILLER, INNOCENT, LATE] {
        while let Err(error) = engine.add_template(template::parse("faults.yaml", text).unwrap().template).await {
            assert!(matches!(error.code(), "D001" | "D002"), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
