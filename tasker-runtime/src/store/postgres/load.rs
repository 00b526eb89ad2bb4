//! The rows that a batch reads, locked: first the tasks alone, in the order of their ids; then what stands of their steps.

use tasker_types::{StepState, TaskId, Timestamp};
use uuid::Uuid;

use super::rows::{self, BareTask, Columns, column, live_columns, moment, task_columns, uuids};
use super::session::Session;
use super::templates::Templates;
use crate::core::{Backlog, Batch, Snapshot, StepRef};
use crate::store::StoreError;

/// Alone: what is loaded by the same statement as the lock is what was there before the lock was waited for.
const LOCK: &str =
    concat!("SELECT ", task_columns!(), " FROM tasker.tasks AS t WHERE t.id = ANY($1) ORDER BY t.id FOR NO KEY UPDATE");
/// A claim locks no task, so the steps are locked too: a ready one may be claimed at this moment.
const STEPS: &str = concat!(
    "SELECT ",
    live_columns!(),
    " FROM unnest($1::uuid[], $2::integer[]) AS v (task, number) \
     JOIN tasker.live_steps AS l ON l.task = v.task AND l.number = v.number ORDER BY l.task, l.number FOR UPDATE OF l"
);
const STEPS_OF: &str = concat!(
    "SELECT ",
    live_columns!(),
    " FROM tasker.live_steps AS l WHERE l.task = ANY($1) ORDER BY l.task, l.number FOR UPDATE OF l"
);
const OVER: &str = "SELECT r.task, r.number, r.outcome, r.attempt FROM unnest($1::uuid[], $2::integer[]) AS v (task, number) \
                    JOIN tasker.step_results AS r ON r.task = v.task AND r.number = v.number";
const OVER_OF: &str =
    "SELECT r.task, r.number, r.outcome, r.attempt FROM tasker.step_results AS r WHERE r.task = ANY($1)";
const TAKEN: &str = "SELECT a.id FROM tasker.actions AS a WHERE a.id = ANY($1)";
/// The time, taken when every lock is held; whether the worker may still claim; what waits for it, by one probe of the
/// claim's index a queue.
const MOMENT: &str = concat!(
    "WITH now AS MATERIALIZED (SELECT ",
    moment!("$1"),
    " AS at) SELECT n.at, EXISTS (SELECT 1 FROM tasker.workers AS w WHERE w.incarnation = $2 AND w.expires_at > n.at), \
     (SELECT max(p.priority) FROM unnest($3::bigint[]) AS q (queue) CROSS JOIN LATERAL \
     (SELECT l.priority FROM tasker.live_steps AS l WHERE l.queue = q.queue AND l.state = 1 \
     AND NOT l.held AND l.losses = 0 AND l.ready_at <= (SELECT m.at FROM now AS m) \
     ORDER BY l.priority DESC, l.ready_at, l.task, l.number LIMIT 1) AS p) FROM now AS n"
);

/// Locks and loads what the batch needs, in the transaction that was begun.
pub(super) async fn load(session: &mut Session, templates: &Templates, batch: &Batch) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot::default();
    for row in session.fetch(sqlx::query(LOCK).bind(uuids(&batch.tasks()))).await? {
        let bare = BareTask::read(&mut Columns::of(&row))?;
        let pinned = templates.by_id(session, bare.template).await?;
        snapshot.load_task(bare.with(pinned));
    }
    let with_batches: Vec<TaskId> =
        batch.tasks().into_iter().filter(|&id| snapshot.task(id).is_some_and(|row| row.pinned.has_batches())).collect();
    if !with_batches.is_empty() {
        for row in session.fetch(sqlx::query(rows::BATCHES_OF).bind(uuids(&with_batches))).await? {
            snapshot.load_batch(rows::batch(&row)?);
        }
    }
    let (steps, whole) = batch.steps(|task| snapshot.task(task).map(|row| row.pinned.clone()));
    // Of a task that is read as a whole, no step is read twice.
    let whole: Vec<TaskId> = whole.into_iter().filter(|&task| snapshot.task(task).is_some()).collect();
    let steps: Vec<StepRef> = steps.into_iter().filter(|step| whole.binary_search(&step.task).is_err()).collect();
    load_steps(session, &steps, &mut snapshot).await?;
    load_whole(session, &whole, &mut snapshot).await?;
    let actions = batch.actions();
    if !actions.is_empty() {
        for row in session.fetch(sqlx::query(TAKEN).bind(&actions)).await? {
            snapshot.load_action(Columns::of(&row).get::<Uuid>()?);
        }
    }
    Ok(snapshot)
}

async fn load_steps(session: &mut Session, steps: &[StepRef], snapshot: &mut Snapshot) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    for row in session.fetch(keyed(STEPS, steps)).await? {
        snapshot.load_live(rows::live(&row)?);
    }
    let absent: Vec<StepRef> =
        steps.iter().copied().filter(|step| snapshot.live(step.task, step.number).is_none()).collect();
    if !absent.is_empty() {
        for row in session.fetch(keyed(OVER, &absent)).await? {
            load_over(&mut Columns::of(&row), snapshot)?;
        }
    }
    Ok(())
}

async fn load_whole(session: &mut Session, tasks: &[TaskId], snapshot: &mut Snapshot) -> Result<(), StoreError> {
    if tasks.is_empty() {
        return Ok(());
    }
    for row in session.fetch(sqlx::query(STEPS_OF).bind(uuids(tasks))).await? {
        snapshot.load_live(rows::live(&row)?);
    }
    for row in session.fetch(sqlx::query(OVER_OF).bind(uuids(tasks))).await? {
        load_over(&mut Columns::of(&row), snapshot)?;
    }
    Ok(())
}

fn load_over(columns: &mut Columns<'_>, snapshot: &mut Snapshot) -> Result<(), StoreError> {
    let (step, outcome) = (columns.step()?, columns.code(StepState::from_code)?);
    snapshot.load_over(step, outcome, columns.count()?);
    Ok(())
}

/// The time at which the batch is decided, and what waits for its worker where that has a lease.
pub(super) async fn moment(session: &mut Session, batch: &Batch) -> Result<(Timestamp, Option<Backlog>), StoreError> {
    if let (Some(now), None) = (batch.now, &batch.capacity) {
        return Ok((now, None));
    }
    let worker = batch.capacity.as_ref().map(|capacity| capacity.worker.0);
    let queues: Vec<i64> =
        batch.capacity.iter().flat_map(|capacity| capacity.queues.iter().map(|queue| queue.0)).collect();
    let query = sqlx::query(MOMENT).bind(rows::micros(batch.now)).bind(worker).bind(queues);
    let rows = session.fetch(query).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("the server does not tell the time".into()))?;
    let columns = &mut Columns::of(row);
    let (now, has_lease) = (columns.time()?, columns.get::<bool>()?);
    let top_priority = columns.get()?;
    Ok((now, has_lease.then_some(Backlog { top_priority })))
}

/// A statement whose two parameters are the keys of steps.
pub(super) fn keyed<'q>(text: &'static str, steps: &[StepRef]) -> super::session::Statement<'q> {
    sqlx::query(text).bind(column(steps, |step| step.task.uuid())).bind(column(steps, |step| rows::number(step.number)))
}
