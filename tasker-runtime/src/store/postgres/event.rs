//! Events, and who was given which of them.

use sqlx::postgres::PgRow;
use tasker_types::event::matches;
use tasker_types::{StepNumber, TaskId, Timestamp, Wanted};
use uuid::Uuid;

use super::rows::{Columns, column, micros, moment, number, uuids};
use super::session::Session;
use super::templates::Templates;
use crate::core::{EventRow, SubscriberId, recipients};
use crate::store::{
    Deliveries, Delivery, DeliveryReport, DeliveryRequest, DuePlace, EventTask, EventView, StoreError, SubscriberView,
    Subscription,
};

macro_rules! event_columns {
    () => {
        "e.task, e.number, e.attempt, e.name, e.payload, e.result, e.detail, e.at"
    };
}

const SUBSCRIBERS: &str = "SELECT s.id, s.patterns FROM tasker.event_subscribers AS s ORDER BY s.id";
/// Positions are given in the order of the events: they are sorted first.
const EVENTS: &str = "INSERT INTO tasker.domain_events (task, number, attempt, name, payload, result, detail, at) \
                      SELECT v.task, v.number, v.attempt, v.name, v.payload, v.result, v.detail, v.at FROM unnest($1::uuid[], \
                      $2::integer[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[]) \
                      WITH ORDINALITY AS v (task, number, attempt, name, payload, result, detail, at, place) ORDER BY v.place \
                      RETURNING position";
const DUES: &str = "INSERT INTO tasker.event_deliveries SELECT v.subscriber, v.position, v.task, 0, 0, NULL \
                    FROM unnest($1::bigint[], $2::bigint[], $3::uuid[]) AS v (subscriber, position, task)";
/// Whoever writes events reads the subscribers in its transaction. This waits for them, and lets no other begin.
const ALONE: &str = "LOCK TABLE tasker.event_subscribers IN ACCESS EXCLUSIVE MODE";
const KNOWN: &str = "UPDATE tasker.event_subscribers SET patterns = $2, wanted = $3 WHERE name = $1 RETURNING id";
const SAME: &str = "SELECT s.id FROM tasker.event_subscribers AS s WHERE s.name = $1 AND s.patterns = $2";
const ADDED: &str = concat!(
    "INSERT INTO tasker.event_subscribers (name, patterns, wanted, since) SELECT $1, $2, $3, ",
    moment!("$4"),
    " RETURNING id"
);
/// Nobody is about to write an event with a lower position: whoever does waits.
const FILLS: &str = "INSERT INTO tasker.event_fills SELECT $1, 0, max(e.position) FROM tasker.domain_events AS e \
                     HAVING max(e.position) IS NOT NULL";
const UNFILLED: &str = "SELECT f.filled, f.until FROM tasker.event_fills AS f WHERE f.subscriber = $1 FOR UPDATE";
pub(super) const SOME_EARLIER: &str = "SELECT max(p.position), array_agg(DISTINCT p.name) FROM (SELECT e.position, e.name \
    FROM tasker.domain_events AS e WHERE e.position > $1 AND e.position <= $2 ORDER BY e.position LIMIT $3) AS p";
pub(super) const EARLIER: &str = "INSERT INTO tasker.event_deliveries SELECT $1, e.position, e.task, 0, 0, NULL \
    FROM tasker.domain_events AS e WHERE e.position > $2 AND e.position <= $3 AND e.name = ANY($4)";
const FILLED: &str = "UPDATE tasker.event_fills SET filled = $2 WHERE subscriber = $1";
const ALL_FILLED: &str = "DELETE FROM tasker.event_fills WHERE subscriber = $1";
/// Events that are looked through, or due ones that are forgotten, in one transaction.
const PORTION: i64 = 10_000;
/// Who holds a subscriber, and whether that worker and the one that asks have a lease.
const HOLDER: &str = concat!(
    "WITH now AS MATERIALIZED (SELECT ",
    moment!("$3"),
    " AS at) SELECT n.at, s.held_by, EXISTS (SELECT 1 FROM tasker.workers AS w WHERE w.incarnation = $2 AND w.expires_at > n.at), \
     EXISTS (SELECT 1 FROM tasker.workers AS o WHERE o.incarnation = s.held_by AND o.expires_at > n.at) \
     FROM now AS n LEFT JOIN tasker.event_subscribers AS s ON s.id = $1"
);
const TAKEN: &str =
    "UPDATE tasker.event_subscribers SET held_by = $2 WHERE id = $1 AND held_by IS NOT DISTINCT FROM $3";
/// What is due, and of which tasks.
pub(super) const DUE: &str = "SELECT d.due_at, d.position, d.task FROM tasker.event_deliveries AS d WHERE d.subscriber = $1 \
                              AND d.due_at <= $2 AND (d.due_at, d.position) > ($3, $4) ORDER BY d.due_at, d.position LIMIT $5";
/// A session plans it once, perhaps while there are few events: each join is one row by its key, however many there are then.
pub(super) const FIRST_ONES: &str = concat!(
    "SELECT d.position, d.failures, d.due_at, ",
    event_columns!(),
    ", t.template, i.correlation_id FROM unnest($2::uuid[]) AS o (task) CROSS JOIN LATERAL \
     (SELECT p.* FROM tasker.event_deliveries AS p WHERE p.subscriber = $1 AND p.task = o.task ORDER BY p.position LIMIT $3) AS d \
     CROSS JOIN LATERAL (SELECT v.* FROM tasker.domain_events AS v WHERE v.position = d.position LIMIT 1) AS e \
     LEFT JOIN LATERAL (SELECT k.template FROM tasker.tasks AS k WHERE k.id = e.task LIMIT 1) AS t ON true \
     LEFT JOIN LATERAL (SELECT n.correlation_id FROM tasker.task_inputs AS n WHERE n.task = e.task LIMIT 1) AS i ON true \
     ORDER BY d.position"
);
const NEXT: &str = "SELECT d.due_at FROM tasker.event_deliveries AS d WHERE d.subscriber = $1 AND d.due_at > $2 \
                    ORDER BY d.due_at LIMIT 1";
const DONE: &str = "DELETE FROM tasker.event_deliveries WHERE subscriber = $1 AND position = ANY($2)";
const FAILED: &str = "UPDATE tasker.event_deliveries AS d SET failures = v.failures, error = v.error \
                      FROM unnest($2::bigint[], $3::integer[], $4::text[]) AS v (position, failures, error) \
                      WHERE d.subscriber = $1 AND d.position = v.position";
const WAITING: &str = "UPDATE tasker.event_deliveries AS d SET due_at = v.due_at \
                       FROM unnest($2::uuid[], $3::bigint[]) AS v (task, due_at) WHERE d.subscriber = $1 AND d.task = v.task";
const STANDING: &str = "SELECT s.name, s.patterns, s.since, s.held_by, count(d.position), count(d.position) FILTER (WHERE d.failures > 0), \
    (SELECT e.at FROM tasker.event_deliveries AS o JOIN tasker.domain_events AS e ON e.position = o.position \
    WHERE o.subscriber = s.id ORDER BY o.position LIMIT 1), \
    (SELECT o.error FROM tasker.event_deliveries AS o WHERE o.subscriber = s.id AND o.failures > 0 \
    ORDER BY o.position DESC LIMIT 1) FROM tasker.event_subscribers AS s \
    LEFT JOIN tasker.event_deliveries AS d ON d.subscriber = s.id GROUP BY s.id ORDER BY s.name";
const OF_TASK: &str = concat!(
    "SELECT e.position, ",
    event_columns!(),
    ", ARRAY(SELECT s.name FROM tasker.event_deliveries AS d JOIN tasker.event_subscribers AS s ON s.id = d.subscriber \
     WHERE d.task = e.task AND d.position = e.position ORDER BY s.name) FROM tasker.domain_events AS e WHERE e.task = $1 \
     AND e.position > $2 ORDER BY e.position LIMIT $3"
);
const ROWS_OF: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM tasker.domain_events AS e WHERE e.task = ANY($1) ORDER BY e.task, e.position"
);

/// Writes the events, and to whom they are due, in the transaction that was begun.
pub(super) async fn write(session: &mut Session, events: &[EventRow]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut subscribers = Vec::new();
    for row in session.fetch(sqlx::query(SUBSCRIBERS)).await? {
        let columns = &mut Columns::of(&row);
        subscribers.push((SubscriberId(columns.get()?), columns.get::<Vec<String>>()?));
    }
    let rows = session.fetch(inserted(events)).await?;
    let mut positions: Vec<i64> = rows.iter().map(|row| Columns::of(row).get()).collect::<Result<_, _>>()?;
    positions.sort_unstable();
    let due: Vec<(SubscriberId, i64, TaskId)> = recipients(events, &subscribers)
        .filter_map(|(place, subscriber)| Some((subscriber, *positions.get(place)?, events[place].task)))
        .collect();
    if !due.is_empty() {
        let dues = sqlx::query(DUES).bind(column(&due, |due| due.0.0)).bind(column(&due, |due| due.1));
        session.execute(dues.bind(column(&due, |due| due.2.uuid()))).await?;
    }
    Ok(())
}

fn inserted(events: &[EventRow]) -> super::session::Statement<'_> {
    sqlx::query(EVENTS)
        .bind(column(events, |row| row.task.uuid()))
        .bind(column(events, |row| row.number.map(number)))
        .bind(column(events, |row| super::rows::count(row.attempt)))
        .bind(column(events, |row| &*row.name))
        .bind(column(events, |row| row.payload.as_deref()))
        .bind(column(events, |row| row.result.as_deref()))
        .bind(column(events, |row| row.detail.as_deref()))
        .bind(column(events, |row| row.at.as_micros()))
}

pub(super) async fn subscribe(
    session: &mut Session,
    subscription: &Subscription,
    now: Option<Timestamp>,
) -> Result<SubscriberId, StoreError> {
    let (name, patterns) = (&*subscription.name, &subscription.patterns);
    let id = |rows: &[PgRow]| rows.first().map(|row| Columns::of(row).get().map(SubscriberId)).transpose();
    // Most starts change nothing, and wait for nobody.
    if let Some(id) = id(&session.read(sqlx::query(SAME).bind(name).bind(patterns)).await?)? {
        fill(session, id, patterns).await?;
        return Ok(id);
    }
    let bits = Wanted::by(patterns.iter().map(String::as_str)).bits();
    session.begin().await?;
    session.execute(sqlx::query(ALONE)).await?;
    let known = id(&session.fetch(sqlx::query(KNOWN).bind(name).bind(patterns).bind(bits)).await?)?;
    let id = match known {
        Some(id) => id,
        None => {
            let add = sqlx::query(ADDED).bind(name).bind(patterns).bind(bits).bind(micros(now));
            let added = id(&session.fetch(add).await?)?;
            let id = added.ok_or_else(|| StoreError::Corrupt("a subscriber was not added".into()))?;
            if subscription.from_oldest {
                session.execute(sqlx::query(FILLS).bind(id.0)).await?;
            }
            id
        }
    };
    session.commit().await?;
    fill(session, id, patterns).await?;
    Ok(id)
}

/// What was stored before a subscriber came is due to it: portion by portion, each of which goes on where the last one ended,
/// whoever wrote that.
async fn fill(session: &mut Session, id: SubscriberId, patterns: &[String]) -> Result<(), StoreError> {
    while fill_some(session, id, patterns).await? {}
    Ok(())
}

/// Tells whether there is more.
async fn fill_some(session: &mut Session, id: SubscriberId, patterns: &[String]) -> Result<bool, StoreError> {
    session.begin().await?;
    let rows = session.fetch(sqlx::query(UNFILLED).bind(id.0)).await?;
    let Some(row) = rows.first() else {
        session.commit().await?;
        return Ok(false);
    };
    let columns = &mut Columns::of(row);
    let (filled, until): (i64, i64) = (columns.get()?, columns.get()?);
    let some = sqlx::query(SOME_EARLIER).bind(filled).bind(until).bind(PORTION);
    let rows = session.fetch(some).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("the server does not tell positions".into()))?;
    let columns = &mut Columns::of(row);
    let (last, names): (Option<i64>, Option<Vec<String>>) = (columns.get()?, columns.get()?);
    let last = last.unwrap_or(until);
    let takes = |name: &String| patterns.iter().any(|pattern| matches(pattern, name));
    let names: Vec<String> = names.unwrap_or_default().into_iter().filter(takes).collect();
    if !names.is_empty() {
        session.execute(sqlx::query(EARLIER).bind(id.0).bind(filled).bind(last).bind(names)).await?;
    }
    let is_done = last >= until;
    let note = if is_done { sqlx::query(ALL_FILLED).bind(id.0) } else { sqlx::query(FILLED).bind(id.0).bind(last) };
    session.execute(note).await?;
    session.commit().await?;
    Ok(!is_done)
}

pub(super) const SOME_DUES: &str = "DELETE FROM tasker.event_deliveries AS d WHERE d.subscriber = $1 AND d.position = ANY(ARRAY( \
    SELECT o.position FROM tasker.event_deliveries AS o WHERE o.subscriber = $1 ORDER BY o.position LIMIT $2))";

/// What is due to it goes in portions: only the last one, and the subscriber, while nobody else may write events.
pub(super) async fn unsubscribe(session: &mut Session, name: &str) -> Result<Option<u64>, StoreError> {
    const ALL: &str = "DELETE FROM tasker.event_deliveries AS d USING tasker.event_subscribers AS s \
                       WHERE s.name = $1 AND d.subscriber = s.id";
    let find = sqlx::query("SELECT s.id FROM tasker.event_subscribers AS s WHERE s.name = $1").bind(name);
    let found = session.read(find).await?;
    let Some(id) = found.first().map(|row| Columns::of(row).get::<i64>()).transpose()? else { return Ok(None) };
    // Whoever fills it is waited for, and does not go on.
    session.begin().await?;
    session.execute(sqlx::query(ALL_FILLED).bind(id)).await?;
    session.commit().await?;
    let mut dropped = 0;
    loop {
        session.begin().await?;
        let some = session.execute(sqlx::query(SOME_DUES).bind(id).bind(PORTION)).await?;
        session.commit().await?;
        dropped += some;
        if some < PORTION.unsigned_abs() {
            break;
        }
    }
    session.begin().await?;
    session.execute(sqlx::query(ALONE)).await?;
    dropped += session.execute(sqlx::query(ALL).bind(name)).await?;
    let gone = session.execute(sqlx::query("DELETE FROM tasker.event_subscribers WHERE name = $1").bind(name)).await?;
    session.commit().await?;
    Ok((gone > 0).then_some(dropped))
}

pub(super) async fn deliveries(
    session: &mut Session,
    templates: &Templates,
    request: &DeliveryRequest,
) -> Result<Deliveries, StoreError> {
    session.begin().await?;
    let (now, held) = holds(session, request).await?;
    let mut deliveries = Deliveries { held, ..Deliveries::none(now) };
    if held {
        let (tasks, more) = due(session, request, now).await?;
        deliveries.more = more;
        if !tasks.is_empty() {
            let first_ones = sqlx::query(FIRST_ONES).bind(request.subscriber.0).bind(tasks);
            for row in session.fetch(first_ones.bind(i64::from(request.events))).await? {
                deliveries.events.push(delivery(session, templates, &row).await?);
            }
        }
        let next = session.fetch(sqlx::query(NEXT).bind(request.subscriber.0).bind(now.as_micros())).await?;
        let next = next.first().map(|row| Columns::of(row).time()).transpose()?;
        deliveries.next = next.map(|next| next.since(now));
    }
    session.commit().await?;
    Ok(deliveries)
}

/// Tasks with something due, and how far what is due was looked through.
async fn due(
    session: &mut Session,
    request: &DeliveryRequest,
    now: Timestamp,
) -> Result<(Vec<Uuid>, Option<DuePlace>), StoreError> {
    // Positions begin with 1.
    let behind = request.behind.map_or((0, 0), |place| (place.due_at.as_micros(), place.position));
    let due = sqlx::query(DUE).bind(request.subscriber.0).bind(now.as_micros()).bind(behind.0).bind(behind.1);
    let rows = session.fetch(due.bind(i64::from(request.window()))).await?;
    let read = |row: &PgRow| {
        let columns = &mut Columns::of(row);
        Ok((DuePlace { due_at: columns.time()?, position: columns.get()? }, columns.task()?))
    };
    let window: Vec<(DuePlace, TaskId)> = rows.iter().map(read).collect::<Result<_, StoreError>>()?;
    let (tasks, more) = request.choose(window.into_iter());
    Ok((tasks.into_iter().map(TaskId::uuid).collect(), more))
}

/// The time, and whether the worker is the one that gives the subscriber its events; it becomes that where nobody is.
async fn holds(session: &mut Session, request: &DeliveryRequest) -> Result<(Timestamp, bool), StoreError> {
    let (subscriber, me) = (request.subscriber.0, request.worker.0);
    let rows = session.fetch(sqlx::query(HOLDER).bind(subscriber).bind(me).bind(micros(request.now))).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("the server does not tell the time".into()))?;
    let columns = &mut Columns::of(row);
    let (now, holder) = (columns.time()?, columns.worker()?);
    let (mine, another): (bool, bool) = (columns.get()?, columns.get()?);
    if !mine || holder.is_some_and(|holder| holder != request.worker) && another {
        return Ok((now, false));
    }
    if holder == Some(request.worker) {
        return Ok((now, true));
    }
    let take = sqlx::query(TAKEN).bind(subscriber).bind(me).bind(holder.map(|holder| holder.0));
    Ok((now, session.execute(take).await? > 0))
}

pub(super) async fn delivered(
    session: &mut Session,
    subscriber: SubscriberId,
    report: &DeliveryReport,
) -> Result<(), StoreError> {
    let DeliveryReport { delivered, failed, waiting } = report;
    session.begin().await?;
    if !delivered.is_empty() {
        session.execute(sqlx::query(DONE).bind(subscriber.0).bind(delivered)).await?;
    }
    if !failed.is_empty() {
        let failed = sqlx::query(FAILED)
            .bind(subscriber.0)
            .bind(column(failed, |failed| failed.position))
            .bind(column(failed, |failed| super::rows::count(failed.failures)))
            .bind(column(failed, |failed| &*failed.error));
        session.execute(failed).await?;
    }
    if !waiting.is_empty() {
        let waiting = sqlx::query(WAITING)
            .bind(subscriber.0)
            .bind(column(waiting, |(task, _)| task.uuid()))
            .bind(column(waiting, |(_, until)| until.as_micros()));
        session.execute(waiting).await?;
    }
    session.commit().await
}

pub(super) async fn subscribers(session: &mut Session) -> Result<Vec<SubscriberView>, StoreError> {
    let rows = session.read(sqlx::query(STANDING)).await?;
    let view = |row: &PgRow| {
        let columns = &mut Columns::of(row);
        Ok(SubscriberView {
            name: columns.get()?,
            patterns: columns.get()?,
            since: columns.time()?,
            held_by: columns.worker()?,
            undelivered: columns.get::<i64>()?.unsigned_abs(),
            failing: columns.get::<i64>()?.unsigned_abs(),
            oldest: columns.maybe_time()?,
            last_error: columns.get()?,
        })
    };
    rows.iter().map(view).collect()
}

pub(super) async fn of_task(
    session: &mut Session,
    task: TaskId,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<EventView>, StoreError> {
    // Positions begin with 1.
    let page = sqlx::query(OF_TASK).bind(task.uuid()).bind(after.unwrap_or(0)).bind(i64::from(limit));
    let rows = session.read(page).await?;
    let view = |row: &PgRow| {
        let columns = &mut Columns::of(row);
        Ok(EventView { position: columns.get()?, row: event(columns)?, undelivered: columns.get()? })
    };
    rows.iter().map(view).collect()
}

/// The events of these tasks, for a dump.
pub(super) async fn rows_of(session: &mut Session, tasks: &[TaskId]) -> Result<Vec<EventRow>, StoreError> {
    let rows = session.fetch(sqlx::query(ROWS_OF).bind(uuids(tasks))).await?;
    rows.iter().map(|row| event(&mut Columns::of(row))).collect()
}

fn event(columns: &mut Columns<'_>) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        task: columns.task()?,
        number: columns.get::<Option<i32>>()?.and_then(|number| u32::try_from(number).ok()).map(StepNumber),
        attempt: columns.count()?,
        name: columns.get::<&str>()?.into(),
        payload: columns.text()?,
        result: columns.text()?,
        detail: columns.text()?,
        at: columns.time()?,
    })
}

async fn delivery(session: &mut Session, templates: &Templates, row: &PgRow) -> Result<Delivery, StoreError> {
    let columns = &mut Columns::of(row);
    let (position, failures, due_at) = (columns.get()?, columns.count()?, columns.time()?);
    let row = event(columns)?;
    let (template, correlation_id): (Option<i64>, Option<String>) = (columns.get()?, columns.get()?);
    let of = match template {
        Some(template) => {
            let pinned = templates.by_id(session, template).await?;
            EventTask::of(&pinned, row.number, correlation_id.unwrap_or_default())
        }
        None => EventTask::default(),
    };
    Ok(Delivery { position, failures, due_at, row, of })
}
