//! Workers and their leases, and the claims of those who have none.

use rusqlite::Connection;
use tasker_types::{TaskId, Timestamp, WorkerId};

use super::rows::{self, Columns, value};
use super::sql::{Binder, execute_one, first, select, select_all};
use super::writer::{begin, commit};
use crate::core::{QueueId, StepRef};
use crate::store::contract::{WORKERS_KEPT, told};
use crate::store::{LeaseAct, LeaseRequest, Leased, StoreError, Whose, WorkerView};

const HAS_LEASE: &str = "SELECT 1 FROM workers WHERE incarnation = ? AND expires_at > ?";
const FORGET: &str = "DELETE FROM workers WHERE expires_at <= ?";
const BEGIN: &str = "INSERT OR IGNORE INTO workers VALUES (?1, ?2, '[]', ?3, ?3, ?4)";
const RENEW: &str =
    "UPDATE workers SET queues = ?2, renewed_at = ?3, expires_at = ?4 WHERE incarnation = ?1 AND expires_at > ?3";
const END: &str = "UPDATE workers SET expires_at = ?2 WHERE incarnation = ?1 AND expires_at > ?2";
const OLDER: &str = "SELECT 1 FROM workers WHERE incarnation < ? AND expires_at > ? LIMIT 1";
const WORKERS: &str =
    "SELECT incarnation, label, queues, started_at, renewed_at, expires_at FROM workers ORDER BY incarnation";
const HELD: &str = "SELECT task, number, attempt, claimed_by FROM live_steps WHERE state = 2 AND claimed_by = ? \
                    ORDER BY task, number LIMIT ?";
const EXPIRED: &str = "SELECT task, number, attempt, claimed_by FROM live_steps WHERE state = 2 AND NOT EXISTS \
                       (SELECT 1 FROM workers WHERE incarnation = claimed_by AND expires_at > ?) \
                       ORDER BY task, number LIMIT ?";
/// The claims of one task, or of all, that are held for longer than its request allows.
const OVERDUE_OF: &str = "SELECT l.task, l.number, l.attempt, l.claimed_by FROM claim_timeouts AS c CROSS JOIN live_steps AS l \
                          ON l.task = c.task WHERE c.task = ? AND l.state = 2 AND l.claimed_at <= ? - c.timeout \
                          ORDER BY l.task, l.number LIMIT ?";
const OVERDUE: &str = "SELECT l.task, l.number, l.attempt, l.claimed_by FROM claim_timeouts AS c CROSS JOIN live_steps AS l \
                       ON l.task = c.task WHERE l.state = 2 AND l.claimed_at <= ? - c.timeout ORDER BY c.task, l.number LIMIT ?";

/// Whether the worker's lease lasts.
pub(super) fn has_lease(connection: &Connection, worker: WorkerId, now: Timestamp) -> Result<bool, StoreError> {
    let bind = |to: &mut Binder<'_, '_>| _ = to.add(rows::worker(Some(worker))).add(now.as_micros());
    Ok(first::<i64>(connection, HAS_LEASE, bind, value)?.is_some())
}

pub(super) fn lease(connection: &Connection, request: &LeaseRequest) -> Result<Leased, StoreError> {
    let now = told(request.now)?;
    let (id, until) = (rows::worker(Some(request.worker)), (now + request.lease).as_micros());
    let at = now.as_micros();
    begin(connection)?;
    if request.act == LeaseAct::Begin {
        execute_one(connection, FORGET, |to| _ = to.add(now.before(WORKERS_KEPT).as_micros()))?;
        execute_one(connection, BEGIN, |to| _ = to.add(id).add(&*request.label).add(at).add(until))?;
    }
    let held = if request.act == LeaseAct::End {
        execute_one(connection, END, |to| _ = to.add(id).add(at))?;
        false
    } else {
        let queues = queues_text(&request.queues);
        execute_one(connection, RENEW, |to| _ = to.add(id).add(queues.as_str()).add(at).add(until))? > 0
    };
    let older = first::<i64>(connection, OLDER, |to| _ = to.add(id).add(at), value)?;
    commit(connection)?;
    Ok(Leased { held, is_oldest: held && older.is_none() })
}

pub(super) fn workers(connection: &Connection, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError> {
    let now = told(now)?;
    let found = select_all(
        connection,
        WORKERS,
        |_| {},
        |columns| {
            let (id, label, queues): (_, String, String) = (columns.worker()?, columns.get()?, columns.get()?);
            let (started_at, renewed_at, expires_at) = (columns.time()?, columns.time()?, columns.time()?);
            let is_live = expires_at > now;
            let queues = parse_queues(&queues)?;
            Ok(id.map(|id| WorkerView { id, label, queues, started_at, renewed_at, expires_at, is_live }))
        },
    )?;
    Ok(found.into_iter().flatten().collect())
}

pub(super) fn claims(
    connection: &Connection,
    whose: Whose,
    limit: u32,
) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
    let found = match whose {
        Whose::Worker(id) => select_all(connection, HELD, |to| _ = to.add(rows::worker(Some(id))).add(limit), held)?,
        Whose::Expired(now) => {
            let now = told(now)?.as_micros();
            select_all(connection, EXPIRED, |to| _ = to.add(now).add(limit), held)?
        }
    };
    Ok(found.into_iter().flatten().collect())
}

/// A claim, as it is told.
fn held(columns: &mut Columns<'_>) -> Result<Option<(StepRef, u32, WorkerId)>, StoreError> {
    let step = StepRef { task: columns.task()?, number: columns.number()? };
    let (attempt, by) = (columns.get()?, columns.worker()?);
    Ok(by.map(|by| (step, attempt, by)))
}

pub(super) fn overdue(
    connection: &Connection,
    of: Option<&[TaskId]>,
    now: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
    let now = told(now)?.as_micros();
    let Some(tasks) = of else {
        let found = select_all(connection, OVERDUE, |to| _ = to.add(now).add(limit), held)?;
        return Ok(found.into_iter().flatten().collect());
    };
    let bind = |task: &TaskId, to: &mut Binder<'_, '_>| _ = to.add(rows::id(*task)).add(now).add(limit);
    let found = select(connection, OVERDUE_OF, tasks, bind, held)?;
    let mut claims: Vec<_> = found.into_iter().flatten().collect();
    claims.sort_unstable_by_key(|(step, ..)| *step);
    claims.truncate(limit as usize);
    Ok(claims)
}

fn queues_text(queues: &[QueueId]) -> String {
    serde_json::Value::from_iter(queues.iter().map(|queue| queue.0)).to_string()
}

fn parse_queues(text: &str) -> Result<Vec<QueueId>, StoreError> {
    let numbers: Vec<i64> = serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("the queues of a worker cannot be read: {error}")))?;
    Ok(numbers.into_iter().map(QueueId).collect())
}
