//! Events, and who was given which of them.

use rusqlite::Connection;
use tasker_types::event::matches;
use tasker_types::{StepNumber, TaskId, Timestamp, Wanted};

use super::load::bind_task;
use super::rows::{self, Columns, value};
use super::sql::{Binder, execute, execute_one, first, nothing, select, select_all};
use super::templates::Templates;
use super::workers::has_lease;
use super::writer::{begin, commit};
use crate::core::{EventRow, SubscriberId, recipients};
use crate::store::contract::told;
use crate::store::{
    Deliveries, Delivery, DeliveryReport, DeliveryRequest, DuePlace, EventTask, EventView, FailedDelivery, StoreError,
    SubscriberView, Subscription,
};

pub(super) const EVENTS: &str = "INSERT INTO domain_events (task, number, attempt, name, payload, result, detail, at) \
                                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const DUES: &str = "INSERT INTO event_deliveries VALUES (?, ?, ?, 0, 0, NULL)";
const SUBSCRIBERS: &str = "SELECT id, patterns FROM event_subscribers ORDER BY id";
const EVENT: &str = "e.task, e.number, e.attempt, e.name, e.payload, e.result, e.detail, e.at";
/// What is due, and of which tasks.
const DUE: &str = "SELECT due_at, position, task FROM event_deliveries WHERE subscriber = ? AND due_at <= ? \
                   AND (due_at, position) > (?, ?) ORDER BY due_at, position LIMIT ?";
const NEXT: &str = "SELECT due_at FROM event_deliveries WHERE subscriber = ? AND due_at > ? ORDER BY due_at LIMIT 1";

/// Writes the events, and to whom they are due, in the transaction that was begun.
pub(super) fn write(connection: &Connection, events: &[EventRow]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut positions = Vec::with_capacity(events.len());
    for event in events {
        execute_one(connection, EVENTS, |to| bind_event(event, to))?;
        positions.push(connection.last_insert_rowid());
    }
    let subscribers = select_all(connection, SUBSCRIBERS, nothing, |columns| {
        Ok((SubscriberId(columns.get()?), parse_patterns(columns.str()?)?))
    })?;
    let due: Vec<(SubscriberId, i64, TaskId)> = recipients(events, &subscribers)
        .filter_map(|(place, subscriber)| Some((subscriber, *positions.get(place)?, events[place].task)))
        .collect();
    execute(connection, DUES, &due, |(subscriber, position, task), to| {
        to.add(subscriber.0).add(*position).add(rows::id(*task));
    })?;
    Ok(())
}

/// Which lifecycle events somebody subscribes to.
pub(super) fn wanted(connection: &Connection) -> Result<Wanted, StoreError> {
    let all: Vec<i32> = select_all(connection, "SELECT wanted FROM event_subscribers", nothing, value)?;
    Ok(all.into_iter().map(Wanted::from_bits).fold(Wanted::NONE, Wanted::and))
}

pub(super) fn subscribe(
    connection: &Connection,
    subscription: &Subscription,
    now: Option<Timestamp>,
) -> Result<SubscriberId, StoreError> {
    let (now, name) = (told(now)?, &*subscription.name);
    let patterns = serde_json::Value::from(subscription.patterns.clone()).to_string();
    let bits = Wanted::by(subscription.patterns.iter().map(String::as_str)).bits();
    begin(connection)?;
    let known: Option<i64> =
        first(connection, "SELECT id FROM event_subscribers WHERE name = ?", |to| _ = to.add(name), value)?;
    let id = if let Some(id) = known {
        let change = "UPDATE event_subscribers SET patterns = ?, wanted = ? WHERE id = ?";
        execute_one(connection, change, |to| _ = to.add(&*patterns).add(bits).add(id))?;
        id
    } else {
        let add = "INSERT INTO event_subscribers (name, patterns, wanted, since) VALUES (?, ?, ?, ?)";
        execute_one(connection, add, |to| _ = to.add(name).add(&*patterns).add(bits).add(now.as_micros()))?;
        let id = connection.last_insert_rowid();
        if subscription.from_oldest {
            let names: Vec<String> = select_all(connection, "SELECT DISTINCT name FROM domain_events", nothing, value)?;
            let takes = |name: &String| subscription.patterns.iter().any(|pattern| matches(pattern, name));
            let names: Vec<String> = names.into_iter().filter(takes).collect();
            let earlier =
                "INSERT INTO event_deliveries SELECT ?1, position, task, 0, 0, NULL FROM domain_events WHERE name = ?2";
            execute(connection, earlier, &names, |name, to| _ = to.add(id).add(&**name))?;
        }
        id
    };
    commit(connection)?;
    Ok(SubscriberId(id))
}

pub(super) fn unsubscribe(connection: &Connection, name: &str) -> Result<Option<u64>, StoreError> {
    begin(connection)?;
    let known: Option<i64> =
        first(connection, "SELECT id FROM event_subscribers WHERE name = ?", |to| _ = to.add(name), value)?;
    let mut dropped = None;
    if let Some(id) = known {
        let dues = "DELETE FROM event_deliveries WHERE subscriber = ?";
        dropped = Some(execute_one(connection, dues, |to| _ = to.add(id))?);
        execute_one(connection, "DELETE FROM event_subscribers WHERE id = ?", |to| _ = to.add(id))?;
    }
    commit(connection)?;
    Ok(dropped)
}

pub(super) fn deliveries(
    connection: &Connection,
    templates: &Templates,
    request: &DeliveryRequest,
) -> Result<Deliveries, StoreError> {
    let now = told(request.now)?;
    let (at, subscriber) = (now.as_micros(), request.subscriber.0);
    if !holds(connection, request, now)? {
        return Ok(Deliveries::none(now));
    }
    let bind = |to: &mut Binder<'_, '_>| {
        // Positions begin with 1.
        let behind = request.behind.map_or((0, 0), |place| (place.due_at.as_micros(), place.position));
        to.add(subscriber).add(at).add(behind.0).add(behind.1).add(request.window());
    };
    let window = select_all(connection, DUE, bind, |columns| {
        Ok((DuePlace { due_at: columns.time()?, position: columns.get()? }, columns.task()?))
    })?;
    let (tasks, more) = request.choose(window.into_iter());
    let tasks: Vec<TaskId> = tasks.into_iter().collect();
    let of_task = format!(
        "SELECT d.position, d.failures, d.due_at, {EVENT}, t.template, i.correlation_id FROM (SELECT * FROM event_deliveries INDEXED BY event_deliveries_task \
         WHERE subscriber = ? AND task = ? ORDER BY position LIMIT ?) AS d JOIN domain_events AS e ON e.position = d.position \
         LEFT JOIN tasks AS t ON t.id = e.task LEFT JOIN task_inputs AS i ON i.task = e.task ORDER BY d.position"
    );
    let bind = |task: &TaskId, to: &mut Binder<'_, '_>| _ = to.add(subscriber).add(rows::id(*task)).add(request.events);
    let read = |columns: &mut Columns<'_>| delivery(connection, templates, columns);
    let mut events = select(connection, &of_task, &tasks, bind, read)?;
    events.sort_by_key(|event| event.position);
    let next = first(connection, NEXT, |to| _ = to.add(subscriber).add(at), |columns| columns.time())?;
    Ok(Deliveries { held: true, now, events, more, next: next.map(|next| next.since(now)) })
}

/// Whether the worker is the one that gives the subscriber its events; it becomes that where nobody is.
fn holds(connection: &Connection, request: &DeliveryRequest, now: Timestamp) -> Result<bool, StoreError> {
    let subscriber = request.subscriber.0;
    let holder = "SELECT held_by FROM event_subscribers WHERE id = ?";
    let Some(holder) = first(connection, holder, |to| _ = to.add(subscriber), |columns| columns.worker())? else {
        return Ok(false);
    };
    if !has_lease(connection, request.worker, now)? {
        return Ok(false);
    }
    let Some(other) = holder.filter(|&holder| holder != request.worker) else {
        return if holder.is_some() { Ok(true) } else { take(connection, request) };
    };
    if has_lease(connection, other, now)? { Ok(false) } else { take(connection, request) }
}

fn take(connection: &Connection, request: &DeliveryRequest) -> Result<bool, StoreError> {
    let take = "UPDATE event_subscribers SET held_by = ? WHERE id = ?";
    let bind = |to: &mut Binder<'_, '_>| _ = to.add(rows::worker(Some(request.worker))).add(request.subscriber.0);
    Ok(execute_one(connection, take, bind)? > 0)
}

pub(super) fn delivered(
    connection: &Connection,
    subscriber: SubscriberId,
    report: &DeliveryReport,
) -> Result<(), StoreError> {
    let id = subscriber.0;
    begin(connection)?;
    let done = "DELETE FROM event_deliveries WHERE subscriber = ? AND position = ?";
    execute(connection, done, &report.delivered, |position, to| _ = to.add(id).add(*position))?;
    let failed = "UPDATE event_deliveries SET failures = ?, error = ? WHERE subscriber = ? AND position = ?";
    execute(connection, failed, &report.failed, |failed: &FailedDelivery, to| {
        to.add(failed.failures).add(&*failed.error).add(id).add(failed.position);
    })?;
    let waits =
        "UPDATE event_deliveries INDEXED BY event_deliveries_task SET due_at = ? WHERE subscriber = ? AND task = ?";
    execute(connection, waits, &report.waiting, |(task, until), to| {
        to.add(until.as_micros()).add(id).add(rows::id(*task));
    })?;
    commit(connection)
}

pub(super) fn subscribers(connection: &Connection) -> Result<Vec<SubscriberView>, StoreError> {
    let all = "SELECT s.name, s.patterns, s.since, s.held_by, count(d.position), count(d.position) FILTER (WHERE d.failures > 0), \
               (SELECT e.at FROM event_deliveries AS o JOIN domain_events AS e ON e.position = o.position \
               WHERE o.subscriber = s.id ORDER BY o.position LIMIT 1), \
               (SELECT o.error FROM event_deliveries AS o WHERE o.subscriber = s.id AND o.failures > 0 \
               ORDER BY o.position DESC LIMIT 1) \
               FROM event_subscribers AS s LEFT JOIN event_deliveries AS d ON d.subscriber = s.id GROUP BY s.id ORDER BY s.name";
    select_all(connection, all, nothing, |columns| {
        Ok(SubscriberView {
            name: columns.get()?,
            patterns: parse_patterns(columns.str()?)?,
            since: columns.time()?,
            held_by: columns.worker()?,
            undelivered: columns.get::<i64>()?.unsigned_abs(),
            failing: columns.get::<i64>()?.unsigned_abs(),
            oldest: columns.maybe_time()?,
            last_error: columns.get()?,
        })
    })
}

pub(super) fn of_task(
    connection: &Connection,
    task: TaskId,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<EventView>, StoreError> {
    let page = format!(
        "SELECT e.position, {EVENT} FROM domain_events AS e WHERE e.task = ? AND e.position > ? ORDER BY e.position LIMIT ?"
    );
    // Positions begin with 1.
    let bind = |to: &mut Binder<'_, '_>| _ = to.add(rows::id(task)).add(after.unwrap_or(0)).add(limit);
    let mut events: Vec<EventView> = select_all(connection, &page, bind, |columns| {
        Ok(EventView { position: columns.get()?, row: event(columns)?, undelivered: Vec::new() })
    })?;
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(events) };
    let (first, last) = (first.position, last.position);
    let due = "SELECT d.position, s.name FROM event_deliveries AS d JOIN event_subscribers AS s ON s.id = d.subscriber \
               WHERE d.task = ? AND d.position BETWEEN ? AND ? ORDER BY d.position, s.name";
    let bind = |to: &mut Binder<'_, '_>| _ = to.add(rows::id(task)).add(first).add(last);
    let read = |columns: &mut Columns<'_>| Ok((columns.get::<i64>()?, columns.get::<String>()?));
    for (position, name) in select_all(connection, due, bind, read)? {
        if let Ok(at) = events.binary_search_by_key(&position, |event| event.position) {
            events[at].undelivered.push(name);
        }
    }
    Ok(events)
}

/// The events of these tasks, for a dump.
pub(super) fn rows_of(connection: &Connection, tasks: &[TaskId]) -> Result<Vec<EventRow>, StoreError> {
    let all = format!("SELECT {EVENT} FROM domain_events AS e WHERE e.task = ? ORDER BY e.position");
    select(connection, &all, tasks, bind_task, event)
}

fn bind_event(row: &EventRow, to: &mut Binder<'_, '_>) {
    to.add(rows::id(row.task)).add(row.number.map(|number| i64::from(number.0))).add(i64::from(row.attempt));
    to.add(&*row.name).add(&row.payload).add(&row.result).add(&row.detail).add(row.at.as_micros());
}

fn event(columns: &mut Columns<'_>) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        task: columns.task()?,
        number: columns.get::<Option<u32>>()?.map(StepNumber),
        attempt: columns.get()?,
        name: columns.str()?.into(),
        payload: columns.text()?,
        result: columns.text()?,
        detail: columns.text()?,
        at: columns.time()?,
    })
}

fn delivery(connection: &Connection, templates: &Templates, columns: &mut Columns<'_>) -> Result<Delivery, StoreError> {
    let (position, failures, due_at) = (columns.get()?, columns.get()?, columns.time()?);
    let row = event(columns)?;
    let (template, correlation_id): (Option<i64>, Option<String>) = (columns.get()?, columns.get()?);
    let pinned = template.map(|template| templates.by_id(connection, template)).transpose()?;
    let of = pinned.map(|pinned| EventTask::of(&pinned, row.number, correlation_id.unwrap_or_default()));
    Ok(Delivery { position, failures, due_at, row, of: of.unwrap_or_default() })
}

fn parse_patterns(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("the patterns of a subscriber cannot be read: {error}")))
}
