//! The rows that a batch reads: from what this connection wrote itself where nobody else has written since.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use tasker_types::{StepNumber, StepState, TaskId, Timestamp};
use uuid::Uuid;

use super::cache::{Cache, STEPS_MAX};
use super::error::translate;
use super::rows::{self, BareTask, Columns, LIVE, TASK};
use super::sql::{Binder, ROWS_MAX, Values};
use super::templates::Templates;
use super::writer::begin;
use crate::core::{Backlog, Batch, LiveStep, QueueId, Snapshot, StepRef, TaskRow};
use crate::store::StoreError;

/// Whether another connection has written, how many rows this one has written so far, and the highest priority that
/// waits: one probe of the claim's index a queue.
const LOOK: &str = "SELECT (SELECT data_version FROM pragma_data_version), total_changes(), max((SELECT priority FROM live_steps \
                    WHERE queue = v.column1 AND state = 1 AND held = 0 AND losses = 0 AND ready_at <= v.column2 \
                    ORDER BY priority DESC LIMIT 1)) FROM (VALUES ";

/// What a transaction finds when it begins.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Changes when another connection has written.
    version: i64,
    /// How many rows this connection has written since it was opened.
    pub(super) written: i64,
    pub(super) backlog: Backlog,
}

/// Takes the write lock and loads what the batch needs.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    templates: &Templates,
    cache: &mut Cache,
    batch: &Batch,
    now: Timestamp,
) -> Result<(Snapshot, Around), StoreError> {
    let queues = batch.capacity.as_ref().map_or(&[][..], |capacity| &capacity.queues);
    let around = look_around(connection, queues, now).await?;
    cache.validate(around.version);

    let mut snapshot = Snapshot::default();
    let ids = batch.tasks();
    let unknown: Vec<TaskId> = ids.iter().copied().filter(|&id| !cache.has(id)).collect();
    let (small, large): (Vec<TaskRow>, Vec<TaskRow>) =
        tasks(connection, templates, &unknown).await?.into_iter().partition(|row| row.pinned.steps.len() <= STEPS_MAX);
    read_whole(connection, cache, small).await?;
    ids.iter().for_each(|&id| cache.load_task(id, &mut snapshot));
    large.into_iter().for_each(|row| snapshot.load_task(row));

    let (steps, whole) = batch.steps(|task| snapshot.task(task).map(|row| row.pinned.clone()));
    let (known, unread): (Vec<StepRef>, Vec<StepRef>) = steps.into_iter().partition(|step| cache.has(step.task));
    known.into_iter().for_each(|step| cache.load_step(step, &mut snapshot));
    read_steps(connection, unread, &mut snapshot).await?;
    let (known, unread): (Vec<TaskId>, Vec<TaskId>) = whole.into_iter().partition(|&task| cache.has(task));
    known.into_iter().for_each(|task| cache.load_all(task, &mut snapshot));
    for row in live_of(connection, &unread).await? {
        snapshot.load_live(row);
    }
    for (step, outcome, attempt) in over_of(connection, &unread).await? {
        snapshot.load_over(step, outcome, attempt);
    }
    let taken = Values::new("SELECT a.id FROM (VALUES ", 1, ") AS v CROSS JOIN actions AS a ON a.id = v.column1");
    let bind = |id: &Uuid, to: &mut Binder| _ = to.add(id.as_bytes().to_vec());
    for row in taken.fetch(connection, &batch.actions(), bind).await? {
        snapshot.load_action(Columns::of(&row).uuid()?);
    }
    Ok((snapshot, around))
}

/// Takes the write lock at once: a transaction that reads first and writes later could be refused half-way. Tells
/// whether another connection has written, and the highest priority that waits in one of these queues: one probe of the
/// claim's index for each.
async fn look_around(
    connection: &mut SqliteConnection,
    queues: &[QueueId],
    now: Timestamp,
) -> Result<Around, StoreError> {
    if queues.is_empty() {
        begin(connection).await?;
        let look = sqlx::query_as("SELECT data_version, total_changes() FROM pragma_data_version");
        let (version, written) = look.fetch_one(connection).await.map_err(translate)?;
        return Ok(Around { version, written, backlog: Backlog::default() });
    }
    let bind = |queue: &QueueId, to: &mut Binder| _ = to.add(queue.0).add(now.as_micros());
    let mut around = Around::default();
    let (first, rest) = queues.split_at(queues.len().min(ROWS_MAX));
    let opening = format!("BEGIN IMMEDIATE; {LOOK}");
    let mut found = Values::new(&opening, 2, ") AS v").fetch(connection, first, bind).await?;
    found.extend(Values::new(LOOK, 2, ") AS v").fetch(connection, rest, bind).await?);
    for row in found {
        let columns = &mut Columns::of(&row);
        around.version = columns.get()?;
        around.written = columns.get()?;
        around.backlog.top_priority = around.backlog.top_priority.max(columns.get::<Option<i16>>()?);
    }
    Ok(around)
}

async fn tasks(
    connection: &mut SqliteConnection,
    templates: &Templates,
    ids: &[TaskId],
) -> Result<Vec<TaskRow>, StoreError> {
    let select = format!("SELECT {TASK} FROM (VALUES ");
    let by_id = Values::new(&select, 1, ") AS v CROSS JOIN tasks AS t ON t.id = v.column1");
    let mut found = Vec::new();
    for row in by_id.fetch(connection, ids, bind_task).await? {
        let bare = BareTask::read(&mut Columns::of(&row))?;
        let pinned = templates.by_id(connection, bare.template).await?;
        found.push(bare.with(pinned));
    }
    Ok(found)
}

/// Reads every row of these tasks into the cache.
async fn read_whole(
    connection: &mut SqliteConnection,
    cache: &mut Cache,
    tasks: Vec<TaskRow>,
) -> Result<(), StoreError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let ids: Vec<TaskId> = tasks.iter().map(|row| row.id).collect();
    let mut live: BTreeMap<TaskId, Vec<LiveStep>> = BTreeMap::new();
    for row in live_of(connection, &ids).await? {
        live.entry(row.task).or_default().push(row);
    }
    let mut over: BTreeMap<TaskId, Vec<(StepNumber, StepState, u32)>> = BTreeMap::new();
    for (step, outcome, attempt) in over_of(connection, &ids).await? {
        over.entry(step.task).or_default().push((step.number, outcome, attempt));
    }
    for row in tasks {
        let id = row.id;
        cache.keep(row, live.remove(&id).unwrap_or_default(), over.remove(&id).unwrap_or_default());
    }
    Ok(())
}

async fn read_steps(
    connection: &mut SqliteConnection,
    steps: Vec<StepRef>,
    snapshot: &mut Snapshot,
) -> Result<(), StoreError> {
    let select = format!("SELECT {LIVE} FROM (VALUES ");
    let by_step =
        Values::new(&select, 2, ") AS v CROSS JOIN live_steps AS l ON l.task = v.column1 AND l.number = v.column2");
    for row in by_step.fetch(connection, &steps, rows::bind_step).await? {
        snapshot.load_live(rows::live(&row)?);
    }
    let absent: Vec<StepRef> =
        steps.into_iter().filter(|step| snapshot.live(step.task, step.number).is_none()).collect();
    let over = Values::new(
        "SELECT r.task, r.number, r.outcome, r.attempt FROM (VALUES ",
        2,
        ") AS v CROSS JOIN step_results AS r ON r.task = v.column1 AND r.number = v.column2",
    );
    for row in over.fetch(connection, &absent, rows::bind_step).await? {
        let (step, outcome, attempt) = read_over(&mut Columns::of(&row))?;
        snapshot.load_over(step, outcome, attempt);
    }
    Ok(())
}

async fn live_of(connection: &mut SqliteConnection, tasks: &[TaskId]) -> Result<Vec<LiveStep>, StoreError> {
    let select = format!("SELECT {LIVE} FROM (VALUES ");
    let all = Values::new(&select, 1, ") AS v CROSS JOIN live_steps AS l ON l.task = v.column1");
    all.fetch(connection, tasks, bind_task).await?.iter().map(rows::live).collect()
}

async fn over_of(
    connection: &mut SqliteConnection,
    tasks: &[TaskId],
) -> Result<Vec<(StepRef, StepState, u32)>, StoreError> {
    let select = "SELECT r.task, r.number, r.outcome, r.attempt FROM (VALUES ";
    let all = Values::new(select, 1, ") AS v CROSS JOIN step_results AS r ON r.task = v.column1");
    all.fetch(connection, tasks, bind_task).await?.iter().map(|row| read_over(&mut Columns::of(row))).collect()
}

fn bind_task(task: &TaskId, to: &mut Binder) {
    to.add(rows::id(*task));
}

fn read_over(columns: &mut Columns<'_>) -> Result<(StepRef, StepState, u32), StoreError> {
    let step = StepRef { task: columns.task()?, number: columns.number()? };
    Ok((step, columns.code(StepState::from_code)?, columns.get()?))
}
