//! The rows that a batch reads, locked: first the tasks alone, in the order of their ids; then what stands of their steps.

use std::borrow::Cow;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tasker_types::{StepState, TaskId, TaskState, Timestamp, Wanted};
use uuid::Uuid;

use super::message::{Kept, Literal, Message};
use super::rows::{
    self, BareTask, Columns, LIVE_COLUMNS, TASK_COLUMNS, column, live_columns, moment, task_columns, uuids,
};
use super::session::Session;
use super::templates::Templates;
use crate::by_id::ById;
use crate::core::{Backlog, Batch, Command, Identity, Needs, Say, Snapshot, StepRef};
use crate::store::StoreError;

/// The columns of a live row but for its key.
macro_rules! state_columns {
    () => {
        "l.state, l.attempt, l.failures, l.losses, l.unmet, l.met, l.queue, l.priority, l.ready_at, l.held, l.claimed_by, \
         l.claimed_at"
    };
}
/// The time, taken when every lock is held: after all of `locked` was read. Whether the worker may still claim; what waits
/// for it, by one probe of the claim's index a queue.
macro_rules! now_and_backlog {
    ($locked:literal) => {
        concat!(
            "moment AS MATERIALIZED (SELECT n.at, EXISTS (SELECT 1 FROM tasker.workers AS w WHERE w.incarnation = $2 \
             AND w.expires_at > n.at) AS has_lease, (SELECT max(p.priority) FROM unnest($3::bigint[]) AS q (queue) \
             CROSS JOIN LATERAL (SELECT l.priority FROM tasker.live_steps AS l WHERE l.queue = q.queue AND l.state = 1 \
             AND NOT l.held AND l.losses = 0 AND l.ready_at <= n.at \
             ORDER BY l.priority DESC, l.ready_at, l.task, l.number LIMIT 1) AS p) AS top, \
             (SELECT coalesce(bit_or(s.wanted), 0) FROM tasker.event_subscribers AS s) AS wanted FROM (SELECT ",
            moment!("$1"),
            " AS at FROM ",
            $locked,
            " OFFSET 0) AS n)"
        )
    };
}

/// Alone: what is loaded by the same statement as the lock is what was there before the lock was waited for.
pub(super) static LOCK: Kept = Kept {
    name: Cow::Borrowed("tasker_lock"),
    types: "uuid[]",
    text: Cow::Borrowed(concat!(
        "SELECT ",
        task_columns!(),
        " FROM tasker.tasks AS t WHERE t.id = ANY($1) ORDER BY t.id FOR NO KEY UPDATE"
    )),
};
/// What stands of these steps, live or over; then the time, when every lock is held. A claim locks no task, so the live
/// rows are locked too, in the order in which they are asked for: a ready one may be claimed at this moment.
pub(super) static STEPS: Kept = Kept {
    name: Cow::Borrowed("tasker_steps"),
    types: "bigint, uuid, bigint[], uuid[], integer[]",
    text: Cow::Borrowed(STEPS_TEXT),
};
const STEPS_TEXT: &str = concat!(
    "WITH stands AS MATERIALIZED (SELECT v.task, v.number, ",
    state_columns!(),
    ", r.outcome, r.attempt AS over_at FROM unnest($4::uuid[], $5::integer[]) AS v (task, number) \
     LEFT JOIN LATERAL (SELECT * FROM tasker.live_steps AS s WHERE s.task = v.task AND s.number = v.number FOR UPDATE) AS l ON true \
     LEFT JOIN LATERAL (SELECT o.outcome, o.attempt FROM tasker.step_results AS o WHERE l.task IS NULL AND o.task = v.task \
     AND o.number = v.number) AS r ON true), locked AS MATERIALIZED (SELECT count(*) AS steps FROM stands), ",
    now_and_backlog!("locked"),
    " SELECT m.at, m.has_lease, m.top, m.wanted, s.* FROM moment AS m CROSS JOIN stands AS s"
);
const STEPS_OF: &str = concat!(
    "SELECT ",
    live_columns!(),
    " FROM tasker.live_steps AS l WHERE l.task = ANY($1) ORDER BY l.task, l.number FOR UPDATE OF l"
);
const OVER_OF: &str =
    "SELECT r.task, r.number, r.outcome, r.attempt FROM tasker.step_results AS r WHERE r.task = ANY($1)";
const LOCK_IDENTITIES: &str = "SELECT pg_advisory_xact_lock(v.number) FROM unnest($1::bigint[]) AS v (number)";
pub(super) const MEANT: &str = "SELECT i.id, t.id, t.state FROM tasker.identities AS i JOIN tasker.tasks AS t ON t.id = i.task \
                                WHERE i.id = ANY($1)";
const TAKEN: &str = "SELECT a.id FROM tasker.actions AS a WHERE a.id = ANY($1)";
/// What was said of the time of tasks: few actions, by the index over their tasks.
const SAID: &str = "SELECT a.task, a.at, a.kind FROM tasker.actions AS a WHERE a.task = ANY($1) AND a.kind = ANY($2)";
pub(super) static MOMENT: Kept =
    Kept { name: Cow::Borrowed("tasker_moment"), types: "bigint, uuid, bigint[]", text: Cow::Borrowed(MOMENT_TEXT) };
const MOMENT_TEXT: &str = concat!(
    "WITH locked AS MATERIALIZED (SELECT 1), ",
    now_and_backlog!("locked"),
    " SELECT m.at, m.has_lease, m.top, m.wanted FROM moment AS m"
);

/// The time at which a batch is decided, and what waits for its worker where that has a lease.
type Moment = (Timestamp, Option<Backlog>);

/// Begins a transaction, locks and loads what the batch needs.
pub(super) async fn load(
    session: &mut Session,
    templates: &Templates,
    batch: &Batch,
) -> Result<(Snapshot, Moment), StoreError> {
    let mut snapshot = Snapshot::for_tasks(batch.commands.len());
    let identities = batch.identities();
    let mut message = Message { begins: identities.is_empty(), ..Message::default() };
    if !message.begins {
        session.begin().await?;
        load_identities(session, &identities, &mut snapshot).await?;
    }
    message.call(&LOCK, vec![Literal::ids(&uuids(&batch.tasks()))]);
    // What a batch reads follows from its tasks' templates. Where this process knows them, all is read in one message.
    let ahead = steps_ahead(templates, batch);
    let asks_moment = ahead.as_deref().is_some_and(|steps| needs_moment(batch, steps));
    if let Some(steps) = ahead.as_deref().filter(|_| asks_moment) {
        ask_steps(&mut message, batch, steps);
    }
    let mut rows = session.send(&message).await?;
    let stands = rows.split_off(rows.partition_point(|row| row.columns().len() == TASK_COLUMNS));
    let mut is_as_known = true;
    for row in rows {
        let bare = BareTask::read(&mut Columns::of(&row))?;
        let pinned = templates.by_id(session, bare.template).await?;
        let task = bare.with(pinned);
        is_as_known &= templates.meet(task.id, &task.pinned);
        snapshot.load_task(task);
    }
    match ahead {
        Some(steps) if is_as_known => {
            let moment = if asks_moment { read_steps(&stands, &steps, &mut snapshot)? } else { given_moment(batch)? };
            Ok((snapshot, moment))
        }
        _ => {
            let moment = load_rest(session, batch, &mut snapshot).await?;
            Ok((snapshot, moment))
        }
    }
}

/// The steps that a batch reads, where nothing else is read of its tasks and the templates of all of them are known.
fn steps_ahead(templates: &Templates, batch: &Batch) -> Option<Vec<StepRef>> {
    let of_steps = |command: &Command| matches!(command.needs(), Needs::Task | Needs::Step(_));
    if !batch.commands.iter().all(|command| of_steps(command) && command.action().is_none()) {
        return None;
    }
    let mut known = ById::with_capacity(batch.commands.len());
    for command in batch.commands.iter().filter(|command| command.needs() != Needs::Task) {
        let pinned = templates.of_task(command.task()).filter(|pinned| !pinned.has_batches())?;
        known.insert(command.task(), pinned);
    }
    let (steps, whole) = batch.steps(|task| known.get(task).map(|pinned| &**pinned));
    whole.is_empty().then_some(steps)
}

/// What else there is to load when the tasks are locked, their templates are known only now, or it is more than steps.
async fn load_rest(session: &mut Session, batch: &Batch, snapshot: &mut Snapshot) -> Result<Moment, StoreError> {
    let with_batches: Vec<TaskId> =
        batch.tasks().into_iter().filter(|&id| snapshot.task(id).is_some_and(|row| row.pinned.has_batches())).collect();
    if !with_batches.is_empty() {
        for row in session.fetch(sqlx::query(rows::BATCHES_OF).bind(uuids(&with_batches))).await? {
            snapshot.load_batch(rows::batch(&row)?);
        }
    }
    let (steps, whole) = batch.steps(|task| snapshot.task(task).map(|row| &*row.pinned));
    // Of a task that is read as a whole, no step is read twice.
    let whole: Vec<TaskId> = whole.into_iter().filter(|&task| snapshot.task(task).is_some()).collect();
    let steps: Vec<StepRef> = steps.into_iter().filter(|step| whole.binary_search(&step.task).is_err()).collect();
    load_whole(session, &whole, snapshot).await?;
    let actions = batch.actions();
    if !actions.is_empty() {
        for row in session.fetch(sqlx::query(TAKEN).bind(&actions)).await? {
            snapshot.load_action(Columns::of(&row).get::<Uuid>()?);
        }
    }
    let expiring = batch.expiring();
    if !expiring.is_empty() {
        for row in session.fetch(sqlx::query(SAID).bind(uuids(&expiring)).bind(Say::KINDS)).await? {
            let columns = &mut Columns::of(&row);
            let (task, at) = (columns.task()?, columns.time()?);
            snapshot.load_said(task, at, &columns.get::<String>()?);
        }
    }
    if !needs_moment(batch, &steps) {
        return given_moment(batch);
    }
    let mut message = Message::default();
    ask_steps(&mut message, batch, &steps);
    read_steps(&session.send(&message).await?, &steps, snapshot)
}

/// Which tasks the requests mean. Before they are looked up, whoever else asks for one of them is waited for: there is no row
/// to lock yet, so its number is. These locks come before all others and in order, so that nobody waits in a circle.
async fn load_identities(
    session: &mut Session,
    identities: &[Identity],
    snapshot: &mut Snapshot,
) -> Result<(), StoreError> {
    if identities.is_empty() {
        return Ok(());
    }
    let mut numbers: Vec<i64> = identities.iter().map(|identity| lock_number(*identity)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    session.fetch(sqlx::query(LOCK_IDENTITIES).bind(numbers)).await?;
    let keys: Vec<&[u8]> = identities.iter().map(|identity| &identity.0[..]).collect();
    for row in session.fetch(sqlx::query(MEANT).bind(keys)).await? {
        let columns = &mut Columns::of(&row);
        let (identity, task) = (rows::identity(columns)?, columns.task()?);
        snapshot.load_identity(identity, task, columns.code(TaskState::from_code)?);
    }
    Ok(())
}

/// Two identities with one number wait for each other, and no more than that.
fn lock_number(identity: Identity) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = identity.0;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Whether the server has anything to add to the batch's own time.
fn needs_moment(batch: &Batch, steps: &[StepRef]) -> bool {
    let only_submits = || batch.commands.iter().all(|command| matches!(command, Command::Submit(_)));
    batch.now.is_none() || batch.capacity.is_some() || !steps.is_empty() || !only_submits()
}

fn given_moment(batch: &Batch) -> Result<Moment, StoreError> {
    let now = batch.now.ok_or_else(|| StoreError::Corrupt("nobody tells the time".into()))?;
    Ok((now, None))
}

/// Comes last: it takes the time.
fn ask_steps(message: &mut Message, batch: &Batch, steps: &[StepRef]) {
    let worker = batch.capacity.as_ref().map(|capacity| capacity.worker.0);
    let queues = batch.capacity.iter().flat_map(|capacity| capacity.queues.iter().map(|queue| queue.0));
    let mut given = vec![Literal::number(rows::micros(batch.now)), Literal::id(worker), Literal::numbers(queues)];
    if steps.is_empty() {
        return message.call(&MOMENT, given);
    }
    given.push(Literal::ids(&column(steps, |step| step.task.uuid())));
    given.push(Literal::numbers(steps.iter().map(|step| i64::from(step.number.0))));
    message.call(&STEPS, given);
}

fn read_steps(rows: &[PgRow], steps: &[StepRef], snapshot: &mut Snapshot) -> Result<Moment, StoreError> {
    let first = rows.first().ok_or_else(|| StoreError::Corrupt("the server does not tell the time".into()))?;
    let columns = &mut Columns::of(first);
    let (now, has_lease, top_priority) = (columns.time()?, columns.get::<bool>()?, columns.get()?);
    snapshot.load_wanted(Wanted::from_bits(columns.get()?));
    if !steps.is_empty() {
        for row in rows {
            load_step(row, snapshot)?;
        }
    }
    Ok((now, has_lease.then_some(Backlog { top_priority })))
}

/// A row of `STEPS`: live, over, or nowhere.
fn load_step(row: &PgRow, snapshot: &mut Snapshot) -> Result<(), StoreError> {
    const KEY: usize = 4;
    const OVER: usize = KEY + LIVE_COLUMNS;
    let is_live = Columns::from(row, KEY + 2).get::<Option<i16>>()?.is_some();
    if is_live {
        snapshot.load_live(rows::live_of(&mut Columns::from(row, KEY))?);
    } else if Columns::from(row, OVER).get::<Option<i16>>()?.is_some() {
        let step = Columns::from(row, KEY).step()?;
        let over = &mut Columns::from(row, OVER);
        snapshot.load_over(step, over.code(StepState::from_code)?, over.count()?);
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

/// A statement whose two parameters are the keys of steps.
pub(super) fn keyed<'q>(text: &'static str, steps: &[StepRef]) -> super::session::Statement<'q> {
    sqlx::query(text).bind(column(steps, |step| step.task.uuid())).bind(column(steps, |step| rows::number(step.number)))
}
