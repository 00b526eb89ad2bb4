//! What is read of tasks and steps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tasker_types::{StepNumber, StepState, TaskForExecution, TaskId, TaskState, Timestamp, WorkerId};
use uuid::Uuid;

use super::StoreError;
use crate::core::{
    ActionRow, AttemptOutcome, AttemptRow, BatchRow, Cause, CheckpointRow, LiveStep, Pinned, RerunRow, ResultRow,
    TaskInput, TaskRow,
};

/// A page of a list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only tasks that were accepted before this one.
    pub before: Option<TaskId>,
    /// At most this many; 200 at most.
    pub limit: u32,
}

/// A task with what it was submitted with.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// The task.
    pub row: TaskRow,
    /// What it was submitted with.
    pub input: TaskInput,
    /// Its steps, in the order of their numbers, each with its derived state. Workers of batches, begun or not, stand in the
    /// place of the step that they are made after.
    pub steps: Vec<StepView>,
    /// What operators did to it, in the order of time.
    pub actions: Vec<ActionRow>,
    /// The task that it runs again, where it does.
    pub rerun_of: Option<RerunRow>,
    /// The tasks that run it again, in the order of their ids.
    pub reruns: Vec<RerunRow>,
}

/// What a task view shows beside the rows of its steps.
pub(super) struct Links {
    pub(super) actions: Vec<ActionRow>,
    pub(super) checkpoints: Vec<CheckpointRow>,
    /// Of the task, and of those that run it again.
    pub(super) reruns: Vec<RerunRow>,
}

/// How far a step had come when an attempt of it said so last.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointView {
    /// The attempt.
    pub attempt: u32,
    /// What it saved.
    pub value: Value,
    /// When.
    pub saved_at: Timestamp,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedTask {
    /// The task.
    pub row: TaskRow,
    /// How many steps it has, workers of batches among them.
    pub total_steps: u32,
    /// When it starts, where it was submitted for later and has not started.
    pub starts_at: Option<Timestamp>,
}

/// A step of a task, wherever it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StepView {
    /// Its number.
    pub number: StepNumber,
    /// Its name.
    pub name: String,
    /// Its state, derived from the place where it stands.
    pub state: StepState,
    /// The number of its last attempt.
    pub attempt: u32,
    /// Attempts that failed since the last audited retry.
    pub failures: u32,
    /// Attempts that were lost since the last audited retry.
    pub losses: u32,
    /// Parents that are not decided yet.
    pub unmet: u32,
    /// When it was, or will be, ready.
    pub ready_at: Option<Timestamp>,
    /// When its last attempt began.
    pub claimed_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Who runs it, or ran it last.
    pub worker: Option<WorkerId>,
    /// Its value.
    pub result: Option<Value>,
    /// The rest: the error, the handler's metadata.
    pub detail: Option<Value>,
    /// Attempts that did not end it.
    pub attempts: Vec<AttemptView>,
    /// How far it had come when an attempt of it said so last.
    pub checkpoint: Option<CheckpointView>,
    /// Its result was taken over from the task that its task runs again.
    pub is_copied: bool,
}

/// An attempt that did not end its step.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptView {
    /// Its number.
    pub attempt: u32,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// When it began.
    pub claimed_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// When the step may be tried again.
    pub retry_at: Option<Timestamp>,
    /// The rest: the error, the handler's metadata.
    pub detail: Option<Value>,
}

/// A template in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredTemplate {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its content, in hexadecimal digits.
    pub hash: String,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// How many tasks run on it that are not over.
    pub open_tasks: u64,
}

/// What failed in the same way: the same step of failed tasks, with the same kind of error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureGroup {
    /// The namespace of their template.
    pub namespace: String,
    /// The name of their template, whichever version of it.
    pub template: String,
    /// The step; of workers of a batch, the one that they are made after.
    pub step: String,
    /// The class of the error.
    pub error_type: Option<String>,
    /// The code of the error.
    pub error_code: Option<String>,
    /// How many steps; of one task, several workers of a batch can be among them.
    pub failures: u64,
    /// The task that was accepted last.
    pub newest: TaskId,
    /// When the last one failed.
    pub last_at: Timestamp,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks that are not over.
    pub open_tasks: u64,
    /// Tasks that failed.
    pub failed_tasks: u64,
    /// Steps that may be claimed.
    pub ready_steps: u64,
    /// Steps that are claimed.
    pub running_steps: u64,
    /// Steps that wait for a retry.
    pub waiting_steps: u64,
}

/// The longest page.
const PAGE_MAX: u32 = 200;
/// Failed tasks that are grouped at most: the newest.
pub const FAILED_TASKS_MAX: u32 = 100_000;
/// Groups that a database forms at most, before those of different versions of a template are put together.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) const GROUPS_MAX: u32 = 10_000;

/// A group of one version of a template.
pub(super) struct FailuresOfVersion {
    pub(super) pinned: Arc<Pinned>,
    pub(super) number: StepNumber,
    pub(super) error_type: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) failures: u64,
    pub(super) newest: TaskId,
    pub(super) last_at: Timestamp,
}

/// Groups that differ in nothing but the version of the template, put together: those with the newest task first.
pub(super) fn failure_groups(rows: impl IntoIterator<Item = FailuresOfVersion>, limit: u32) -> Vec<FailureGroup> {
    let mut groups: BTreeMap<_, FailureGroup> = BTreeMap::new();
    for row in rows {
        let FailuresOfVersion { pinned, number, error_type, error_code, failures, newest, last_at } = row;
        let (namespace, template) = (pinned.template.namespace.clone(), pinned.template.name.clone());
        let step = pinned.step(number).name.to_string();
        let key = (namespace.clone(), template.clone(), step.clone(), error_type.clone(), error_code.clone());
        let group = groups.entry(key).or_insert(FailureGroup {
            namespace,
            template,
            step,
            error_type,
            error_code,
            failures: 0,
            newest,
            last_at,
        });
        group.failures += failures;
        (group.newest, group.last_at) = (group.newest.max(newest), group.last_at.max(last_at));
    }
    let mut groups: Vec<FailureGroup> = groups.into_values().collect();
    // The order of their keys stays among groups with the same newest task.
    groups.sort_by_key(|group| Reverse(group.newest));
    groups.truncate(Page { before: None, limit }.rows() as usize);
    groups
}

impl Page {
    /// How many rows to read.
    pub(super) fn rows(self) -> u32 {
        self.limit.min(PAGE_MAX)
    }
}

/// The first and the last UUID that begin with these hexadecimal digits; nothing where they are no digits, or too many.
pub(super) fn uuids_with_prefix(digits: &str) -> Option<(Uuid, Uuid)> {
    if digits.len() > 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let filled = |digit: &str| Uuid::try_parse(&format!("{digits}{}", digit.repeat(32 - digits.len()))).ok();
    Some((filled("0")?, filled("f")?))
}

/// A version as numbers, so that 1.10.0 comes after 1.9.0.
pub(super) fn version_key(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

pub(super) fn json(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("stored JSON cannot be read: {error}")))
}

/// The task as a handler sees it.
pub(super) fn for_execution(row: &TaskRow, input: &TaskInput) -> Result<TaskForExecution, StoreError> {
    Ok(TaskForExecution {
        task_uuid: row.id.uuid(),
        name: row.pinned.template.name.clone(),
        namespace: row.pinned.template.namespace.clone(),
        version: row.pinned.template.version.clone(),
        context: Arc::new(json(&input.context)?),
        correlation_id: input.correlation_id.clone(),
        priority: row.priority,
    })
}

/// A task in a list, with how many steps it has: its workers of batches are among these.
pub(super) fn listed(row: TaskRow, batches: &[BatchRow], starts: &BTreeMap<TaskId, Timestamp>) -> ListedTask {
    let own = batches.iter().filter(|batch| batch.task == row.id);
    let steps = u32::try_from(row.pinned.steps.len()).unwrap_or(u32::MAX);
    let total_steps = own.fold(steps, |steps, batch| steps.saturating_add(batch.count).saturating_sub(1));
    let starts_at = starts.get(&row.id).copied();
    ListedTask { row, total_steps, starts_at }
}

/// Those of the tasks that may not have started.
pub(super) fn unstarted(tasks: &[TaskRow]) -> Vec<TaskId> {
    let waits =
        |row: &&TaskRow| matches!(row.state, TaskState::Pending | TaskState::Paused) && row.started_at.is_none();
    tasks.iter().filter(waits).map(|row| row.id).collect()
}

/// When a task starts that was submitted for later and has not started.
#[must_use]
pub fn starts_at(view: &TaskView) -> Option<Timestamp> {
    let waits = |step: &&StepView| step.state == StepState::WaitingForRetry && step.attempt == 0;
    view.steps.iter().filter(waits).filter_map(|step| step.ready_at).min()
}

/// Every step of a task with the state that its place tells.
pub(super) fn task_view(
    row: TaskRow,
    input: TaskInput,
    batches: &[BatchRow],
    live: Vec<LiveStep>,
    results: Vec<ResultRow>,
    mut attempts: Vec<AttemptRow>,
    links: Links,
) -> Result<TaskView, StoreError> {
    let mut steps = Vec::with_capacity(row.pinned.steps.len());
    let gone = matches!(row.state, TaskState::Cancelling | TaskState::Cancelled);
    // Workers of batches stand after the steps of the template, in the place of the one that they are made after.
    let made_after: BTreeSet<StepNumber> = batches.iter().map(|batch| batch.number).collect();
    let worker = |batch: &BatchRow, index| row.pinned.worker(batch.number, index);
    let mut workers: Vec<StepNumber> =
        batches.iter().flat_map(|batch| (0..batch.count).filter_map(move |index| worker(batch, index))).collect();
    workers.sort_unstable();
    let numbers: Vec<StepNumber> =
        row.pinned.numbers().filter(|number| !made_after.contains(number)).chain(workers).collect();
    for &number in &numbers {
        steps.push(StepView {
            number,
            name: row.pinned.name(number).to_string(),
            state: if gone { StepState::Cancelled } else { StepState::Pending },
            attempt: 0,
            failures: 0,
            losses: 0,
            unmet: row.pinned.parent_count(number),
            ready_at: None,
            claimed_at: None,
            finished_at: None,
            worker: None,
            result: None,
            detail: None,
            attempts: Vec::new(),
            checkpoint: None,
            is_copied: false,
        });
    }
    let place = |number: StepNumber| numbers.binary_search(&number).ok();
    let detail = |text: &Option<Arc<str>>| text.as_deref().map(json).transpose();
    for live in live {
        let Some(step) = place(live.number).and_then(|at| steps.get_mut(at)) else { continue };
        (step.state, step.attempt, step.failures, step.losses, step.unmet) =
            (live.state, live.attempt, live.failures, live.losses, live.unmet);
        step.ready_at = (live.state != StepState::Pending).then_some(live.ready_at);
        (step.claimed_at, step.worker) = (live.claimed_at, live.claimed_by);
    }
    attempts.sort_by_key(|row| (row.number, row.attempt));
    for attempt in attempts {
        let Some(step) = place(attempt.number).and_then(|at| steps.get_mut(at)) else { continue };
        step.attempts.push(AttemptView {
            attempt: attempt.attempt,
            outcome: attempt.outcome,
            claimed_at: attempt.claimed_at,
            finished_at: attempt.finished_at,
            retry_at: attempt.retry_at,
            detail: detail(&attempt.detail)?,
        });
    }
    for CheckpointRow { number, attempt, value, saved_at, .. } in links.checkpoints {
        let Some(step) = place(number).and_then(|at| steps.get_mut(at)) else { continue };
        step.checkpoint = Some(CheckpointView { attempt, value: json(&value)?, saved_at });
    }
    let (of, reruns): (Vec<RerunRow>, Vec<RerunRow>) = links.reruns.into_iter().partition(|rerun| rerun.task == row.id);
    let rerun_of = of.first().copied();
    for result in results {
        let Some(step) = place(result.number).and_then(|at| steps.get_mut(at)) else { continue };
        let since = step.attempts.iter().rposition(|attempt| attempt.outcome == AttemptOutcome::Reopened);
        for attempt in &step.attempts[since.map_or(0, |reopened| reopened + 1)..] {
            step.failures += u32::from(matches!(attempt.outcome, AttemptOutcome::Failed | AttemptOutcome::TimedOut));
            step.losses += u32::from(attempt.outcome == AttemptOutcome::Lost);
        }
        let failed = result.outcome == StepState::Failed;
        step.failures += u32::from(failed && result.cause == Cause::Handler);
        step.losses += u32::from(failed && result.cause == Cause::Losses);
        (step.state, step.attempt, step.unmet) = (result.outcome, result.attempt, 0);
        (step.ready_at, step.claimed_at, step.finished_at) =
            (result.ready_at, result.claimed_at, Some(result.finished_at));
        step.worker = result.worker;
        // What was there before its task was.
        step.is_copied = rerun_of.is_some() && result.finished_at < row.created_at;
        step.result = result.result.as_deref().map(json).transpose()?;
        step.detail = detail(&result.detail)?;
    }
    let mut actions = links.actions;
    actions.sort_by_key(|row| (row.at, row.id));
    Ok(TaskView { row, input, steps, actions, rerun_of, reruns })
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
