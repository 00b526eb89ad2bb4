//! Tasks as documents for programs.

use serde::Serialize;
use serde_json::{Map, Value};
use tasker_types::{StepNumber, StepState, TaskState, Timestamp};
use uuid::Uuid;

use super::skip::Skip;
use crate::core::{ActionRow, Detail};
use crate::store::{ListedTask, StepView, TaskView};

/// A task with its steps.
#[derive(Debug, Serialize)]
pub(crate) struct TaskDocument<'v> {
    task_uuid: Uuid,
    name: &'v str,
    namespace: &'v str,
    version: &'v str,
    status: TaskState,
    final_result: Value,
    total_steps: usize,
    completed_steps: usize,
    failed_steps: usize,
    /// There only where a step was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_steps: Option<usize>,
    steps: Vec<StepDocument<'v>>,
    /// There only where the task runs another one again.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun_of: Option<RerunDocument>,
    /// There only where other tasks run this one again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reruns: Vec<RerunDocument>,
    /// There only where somebody intervened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<ActionDocument<'v>>,
}

/// The other end of a rerun.
#[derive(Debug, Serialize)]
struct RerunDocument {
    task_uuid: Uuid,
    /// The step from which on the task is run again.
    from: String,
}

/// What an operator did to a task.
#[derive(Debug, Serialize)]
struct ActionDocument<'v> {
    action: &'static str,
    /// The step, where it concerns one.
    step: Option<&'v str>,
    actor: &'v str,
    reason: &'v str,
    at: Timestamp,
}

/// A step of a task.
#[derive(Debug, Serialize)]
pub(crate) struct StepDocument<'v> {
    name: &'v str,
    current_state: StepState,
    attempts: u32,
    result: Option<&'v Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
    /// Why it was skipped, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<Skip<'v>>,
    /// There only where the result is that of the task which is run again.
    #[serde(skip_serializing_if = "is_false")]
    kept: bool,
    ready_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

/// What went wrong in an attempt.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorDocument {
    pub(crate) message: String,
    pub(crate) error_type: Option<String>,
    pub(crate) error_code: Option<String>,
    pub(crate) retryable: Option<bool>,
}

/// A task in a list.
#[derive(Debug, Serialize)]
pub(crate) struct ListedDocument<'v> {
    task_uuid: Uuid,
    name: &'v str,
    namespace: &'v str,
    version: &'v str,
    status: TaskState,
    priority: i16,
    total_steps: u32,
    open_steps: u32,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl<'v> TaskDocument<'v> {
    pub(crate) fn of(view: &'v TaskView) -> Self {
        let template = &view.row.pinned.template;
        let in_state = |wanted: StepState| view.steps.iter().filter(|step| step.state == wanted).count();
        Self {
            task_uuid: view.row.id.uuid(),
            name: &template.name,
            namespace: &template.namespace,
            version: &template.version,
            status: view.row.state,
            final_result: final_result(view),
            total_steps: view.steps.len(),
            completed_steps: in_state(StepState::Completed),
            failed_steps: in_state(StepState::Failed),
            skipped_steps: Some(in_state(StepState::Skipped)).filter(|&number| number > 0),
            steps: view.steps.iter().map(|step| StepDocument::of(view, step)).collect(),
            rerun_of: view.rerun_of.map(|rerun| RerunDocument {
                task_uuid: rerun.source.uuid(),
                from: view.row.pinned.name(rerun.from).to_string(),
            }),
            reruns: view
                .reruns
                .iter()
                .map(|rerun| RerunDocument {
                    task_uuid: rerun.task.uuid(),
                    from: view.row.pinned.name(rerun.from).to_string(),
                })
                .collect(),
            actions: view.actions.iter().map(|action| ActionDocument::of(view, action)).collect(),
        }
    }
}

impl<'v> ActionDocument<'v> {
    fn of(view: &'v TaskView, row: &'v ActionRow) -> Self {
        Self { action: row.kind, step: step_name(view, row), actor: &row.actor, reason: &row.reason, at: row.at }
    }
}

/// The name of the step that an action concerns.
pub(crate) fn step_name<'v>(view: &'v TaskView, action: &ActionRow) -> Option<&'v str> {
    let number = action.number?;
    // The step that workers were made after has no row of its own.
    let of_template = || view.row.pinned.steps.get(number.index()).map(|step| &*step.name);
    step_of(view, number).map(|step| step.name.as_str()).or_else(of_template)
}

/// For fields that are left out where they do not hold.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The step of this number. Workers of batches stand in the place of the step that they are made after.
pub(crate) fn step_of(view: &TaskView, number: StepNumber) -> Option<&StepView> {
    view.steps.binary_search_by_key(&number, |step| step.number).ok().and_then(|at| view.steps.get(at))
}

impl<'v> StepDocument<'v> {
    pub(crate) fn of(view: &'v TaskView, step: &'v StepView) -> Self {
        Self {
            name: &step.name,
            current_state: step.state,
            attempts: step.attempt,
            result: step.result.as_ref(),
            error: error_of(step),
            skipped: Skip::of(view, step),
            kept: step.is_copied,
            ready_at: step.ready_at,
            started_at: step.claimed_at,
            finished_at: step.finished_at,
        }
    }
}

impl<'v> ListedDocument<'v> {
    pub(crate) fn of(listed: &'v ListedTask) -> Self {
        let row = &listed.row;
        let template = &row.pinned.template;
        Self {
            task_uuid: row.id.uuid(),
            name: &template.name,
            namespace: &template.namespace,
            version: &template.version,
            status: row.state,
            priority: row.priority,
            total_steps: listed.total_steps,
            open_steps: row.open_steps,
            created_at: row.created_at,
            starts_at: listed.starts_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }
}

/// The result of the only last step; of several last steps, or of workers of batches, an object of their results by their names,
/// without those that were skipped. Which of the two it is follows from the template alone.
pub(crate) fn final_result(view: &TaskView) -> Value {
    let result = |step: &StepView| step.result.clone().unwrap_or_default();
    let pinned = &view.row.pinned;
    let leaves = pinned.graph().leaves();
    let is_last = |step: &&StepView| leaves.binary_search(&pinned.template_step(step.number)).is_ok();
    let last: Vec<&StepView> = view.steps.iter().filter(is_last).collect();
    match last.as_slice() {
        [only] if !pinned.step(only.number).is_batch_worker() => result(only),
        several => {
            let ran = several.iter().filter(|step| step.state != StepState::Skipped);
            ran.map(|step| (step.name.clone(), result(step))).collect::<Map<_, _>>().into()
        }
    }
}

/// Why a step failed, or was skipped over; of a step that goes on, why its last attempt did.
pub(crate) fn error_of(step: &StepView) -> Option<ErrorDocument> {
    if step.state == StepState::Completed {
        return None;
    }
    let last = step.attempts.iter().rev().find_map(|attempt| attempt.detail.as_ref());
    error_in(step.detail.as_ref().or(last)?)
}

/// The error in the stored detail of an attempt.
pub(crate) fn error_in(detail: &Value) -> Option<ErrorDocument> {
    let Detail { message, error_type, error_code, retryable, .. } = serde_json::from_value(detail.clone()).ok()?;
    Some(ErrorDocument { message: message?, error_type, error_code, retryable })
}
