//! The rows that a batch reads: from what this connection wrote itself where nobody else has written since.

use std::collections::BTreeMap;

use rusqlite::Connection;
use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp};
use uuid::Uuid;

use super::cache::{Cache, is_kept};
use super::event;
use super::rows::{self, BareTask, Columns, LIVE, TASK, value};
use super::sql::{Binder, first, nothing, select};
use super::templates::Templates;
use crate::core::{Backlog, Batch, Identity, LiveStep, QueueId, Snapshot, StepRef, TaskRow};
use crate::store::StoreError;

/// Whether another connection has written.
pub(super) const VERSION: &str = "PRAGMA data_version";
/// The highest priority that waits in a queue: one probe of the claim's index.
const TOP: &str = "SELECT priority FROM live_steps WHERE queue = ? AND state = 1 AND held = 0 AND losses = 0 AND ready_at <= ? \
                   ORDER BY priority DESC LIMIT 1";

/// The task that an identity means.
const MEANT: &str = "SELECT i.id, t.id, t.state FROM identities AS i JOIN tasks AS t ON t.id = i.task WHERE i.id = ?";

/// What was said of the time of a task: few actions, by the index over their tasks.
const SAID: &str =
    "SELECT task, at, kind FROM actions WHERE task = ? AND kind IN ('retry', 'resume', 'pause', 'expire')";

/// Whether tasks that are submitted are looked for. Their ids were just drawn, so one that is there already is seldom enough to
/// be told by the primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submitted {
    AreNew,
    MayExist,
}

/// Loads what the batch needs. The write lock is held.
pub(super) fn load(
    connection: &Connection,
    templates: &Templates,
    (cache, submitted): (&mut Cache, Submitted),
    batch: &Batch,
) -> Result<Snapshot, StoreError> {
    cache.validate(first(connection, VERSION, nothing, value)?.unwrap_or_default());
    let mut snapshot = Snapshot::for_tasks(batch.commands.len());
    snapshot.load_wanted(cache.wanted(|| event::wanted(connection))?);
    let ids = match submitted {
        Submitted::AreNew => batch.known_tasks(),
        Submitted::MayExist => batch.tasks(),
    };
    let unknown: Vec<TaskId> = ids.iter().copied().filter(|&id| !cache.has(id)).collect();
    let (small, large): (Vec<TaskRow>, Vec<TaskRow>) =
        tasks(connection, templates, &unknown)?.into_iter().partition(|row| is_kept(&row.pinned));
    read_whole(connection, cache, small)?;
    ids.iter().for_each(|&id| cache.load_task(id, &mut snapshot));
    let with_batches: Vec<TaskId> = large.iter().filter(|row| row.pinned.has_batches()).map(|row| row.id).collect();
    large.into_iter().for_each(|row| snapshot.load_task(row));
    for row in select(connection, rows::BATCHES_OF, &with_batches, bind_task, rows::batch)? {
        snapshot.load_batch(row);
    }

    let (steps, whole) = batch.steps(|task| snapshot.task(task).map(|row| &*row.pinned));
    let (known, unread): (Vec<StepRef>, Vec<StepRef>) = steps.into_iter().partition(|step| cache.has(step.task));
    known.into_iter().for_each(|step| cache.load_step(step, &mut snapshot));
    read_steps(connection, unread, &mut snapshot)?;
    let (known, unread): (Vec<TaskId>, Vec<TaskId>) = whole.into_iter().partition(|&task| cache.has(task));
    known.into_iter().for_each(|task| cache.load_all(task, &mut snapshot));
    live_of(connection, &unread)?.into_iter().for_each(|row| snapshot.load_live(row));
    for (step, outcome, attempt) in over_of(connection, &unread)? {
        snapshot.load_over(step, outcome, attempt);
    }
    let bind = |id: &Uuid, to: &mut Binder<'_, '_>| _ = to.add(id.into_bytes());
    for taken in
        select(connection, "SELECT id FROM actions WHERE id = ?", &batch.actions(), bind, |columns| columns.uuid())?
    {
        snapshot.load_action(taken);
    }
    select(connection, SAID, &batch.expiring(), bind_task, |columns| {
        let (task, at) = (columns.task()?, columns.time()?);
        snapshot.load_said(task, at, columns.str()?);
        Ok(())
    })?;
    for (identity, task, state) in select(connection, MEANT, &batch.identities(), bind_identity, read_meant)? {
        snapshot.load_identity(identity, task, state);
    }
    Ok(snapshot)
}

fn bind_identity(identity: &Identity, to: &mut Binder<'_, '_>) {
    to.add(identity.0);
}

fn read_meant(columns: &mut Columns<'_>) -> Result<(Identity, TaskId, TaskState), StoreError> {
    Ok((Identity(columns.get()?), columns.task()?, columns.code(TaskState::from_code)?))
}

/// What waited for this worker before this batch.
pub(super) fn backlog(connection: &Connection, queues: &[QueueId], now: Timestamp) -> Result<Backlog, StoreError> {
    let bind = |queue: &QueueId, to: &mut Binder<'_, '_>| _ = to.add(queue.0).add(now.as_micros());
    let waiting = select(connection, TOP, queues, bind, value)?;
    Ok(Backlog { top_priority: waiting.into_iter().max() })
}

fn tasks(connection: &Connection, templates: &Templates, ids: &[TaskId]) -> Result<Vec<TaskRow>, StoreError> {
    let by_id = format!("SELECT {TASK} FROM tasks AS t WHERE t.id = ?");
    select(connection, &by_id, ids, bind_task, |columns| BareTask::read(columns)?.pinned(connection, templates))
}

/// Reads every row of these tasks into the cache.
fn read_whole(connection: &Connection, cache: &mut Cache, tasks: Vec<TaskRow>) -> Result<(), StoreError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let ids: Vec<TaskId> = tasks.iter().map(|row| row.id).collect();
    let mut live: BTreeMap<TaskId, Vec<LiveStep>> = BTreeMap::new();
    for row in live_of(connection, &ids)? {
        live.entry(row.task).or_default().push(row);
    }
    let mut over: BTreeMap<TaskId, Vec<(StepNumber, StepState, u32)>> = BTreeMap::new();
    for (step, outcome, attempt) in over_of(connection, &ids)? {
        over.entry(step.task).or_default().push((step.number, outcome, attempt));
    }
    for row in tasks {
        let id = row.id;
        cache.keep(row, live.remove(&id).unwrap_or_default(), over.remove(&id).unwrap_or_default());
    }
    Ok(())
}

fn read_steps(connection: &Connection, steps: Vec<StepRef>, snapshot: &mut Snapshot) -> Result<(), StoreError> {
    let live = format!("SELECT {LIVE} FROM live_steps AS l WHERE l.task = ? AND l.number = ?");
    for row in select(connection, &live, &steps, rows::bind_step, rows::live)? {
        snapshot.load_live(row);
    }
    let absent: Vec<StepRef> =
        steps.into_iter().filter(|step| snapshot.live(step.task, step.number).is_none()).collect();
    let over = "SELECT task, number, outcome, attempt FROM step_results WHERE task = ? AND number = ?";
    for (step, outcome, attempt) in select(connection, over, &absent, rows::bind_step, read_over)? {
        snapshot.load_over(step, outcome, attempt);
    }
    Ok(())
}

fn live_of(connection: &Connection, tasks: &[TaskId]) -> Result<Vec<LiveStep>, StoreError> {
    let all = format!("SELECT {LIVE} FROM live_steps AS l WHERE l.task = ?");
    select(connection, &all, tasks, bind_task, rows::live)
}

fn over_of(connection: &Connection, tasks: &[TaskId]) -> Result<Vec<(StepRef, StepState, u32)>, StoreError> {
    let all = "SELECT task, number, outcome, attempt FROM step_results WHERE task = ?";
    select(connection, all, tasks, bind_task, read_over)
}

pub(super) fn bind_task(task: &TaskId, to: &mut Binder<'_, '_>) {
    to.add(rows::id(*task));
}

fn read_over(columns: &mut Columns<'_>) -> Result<(StepRef, StepState, u32), StoreError> {
    let step = StepRef { task: columns.task()?, number: columns.number()? };
    Ok((step, columns.code(StepState::from_code)?, columns.get()?))
}
