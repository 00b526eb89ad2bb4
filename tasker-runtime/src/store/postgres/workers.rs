//! Workers and their leases, and the claims of those who have none.

use sqlx::postgres::PgRow;
use tasker_types::{TaskId, Timestamp, WorkerId};

use super::rows::{Columns, length, micros, moment, uuids};
use super::session::Session;
use crate::core::{QueueId, StepRef};
use crate::store::contract::WORKERS_KEPT;
use crate::store::{LeaseAct, LeaseRequest, Leased, StoreError, Whose, WorkerView};

const BEGIN: &str = concat!(
    "WITH now AS MATERIALIZED (SELECT ",
    moment!("$3"),
    " AS at), gone AS (DELETE FROM tasker.workers AS w WHERE w.expires_at <= (SELECT n.at FROM now AS n) - $5) \
     INSERT INTO tasker.workers (incarnation, label, queues, started_at, renewed_at, expires_at) \
     SELECT $1, $2, '{}', n.at, n.at, n.at + $4 FROM now AS n ON CONFLICT (incarnation) DO NOTHING"
);
const RENEW: &str = concat!(
    "WITH now AS MATERIALIZED (SELECT ",
    moment!("$2"),
    " AS at) UPDATE tasker.workers AS w SET queues = $4, renewed_at = n.at, expires_at = n.at + $3 FROM now AS n \
     WHERE w.incarnation = $1 AND w.expires_at > n.at \
     RETURNING NOT EXISTS (SELECT 1 FROM tasker.workers AS o WHERE o.incarnation < $1 AND o.expires_at > n.at)"
);
const END: &str = concat!(
    "WITH now AS MATERIALIZED (SELECT ",
    moment!("$2"),
    " AS at) UPDATE tasker.workers AS w SET expires_at = n.at FROM now AS n WHERE w.incarnation = $1 AND w.expires_at > n.at"
);
const WORKERS: &str = concat!(
    "SELECT w.incarnation, w.label, w.queues, w.started_at, w.renewed_at, w.expires_at, w.expires_at > (SELECT ",
    moment!("$1"),
    ") FROM tasker.workers AS w ORDER BY w.incarnation"
);
const HELD: &str = "SELECT l.task, l.number, l.attempt, l.claimed_by FROM tasker.live_steps AS l \
                    WHERE l.state = 2 AND l.claimed_by = $1 ORDER BY l.task, l.number LIMIT $2";
pub(super) const EXPIRED: &str = concat!(
    "SELECT l.task, l.number, l.attempt, l.claimed_by FROM tasker.live_steps AS l WHERE l.state = 2 AND NOT EXISTS \
     (SELECT 1 FROM tasker.workers AS w WHERE w.incarnation = l.claimed_by AND w.expires_at > (SELECT ",
    moment!("$1"),
    ")) ORDER BY l.task, l.number LIMIT $2"
);

/// Begins at the claims that are held: there are as many as all workers have slots.
pub(super) const OVERDUE: &str = concat!(
    "SELECT l.task, l.number, l.attempt, l.claimed_by FROM tasker.live_steps AS l JOIN tasker.claim_timeouts AS c \
     ON c.task = l.task WHERE l.state = 2 AND ($3::uuid[] IS NULL OR l.task = ANY($3)) AND l.claimed_at <= (SELECT ",
    moment!("$1"),
    ") - c.timeout ORDER BY l.task, l.number LIMIT $2"
);

pub(super) async fn lease(session: &mut Session, request: &LeaseRequest) -> Result<Leased, StoreError> {
    let (id, now) = (request.worker.0, micros(request.now));
    if request.act == LeaseAct::End {
        session.fetch_alone(sqlx::query(END).bind(id).bind(now)).await?;
        return Ok(Leased::default());
    }
    if request.act == LeaseAct::Begin {
        let begin = sqlx::query(BEGIN).bind(id).bind(&*request.label).bind(now).bind(length(request.lease));
        session.fetch_alone(begin.bind(length(WORKERS_KEPT))).await?;
    }
    let queues: Vec<i64> = request.queues.iter().map(|queue| queue.0).collect();
    let renew = sqlx::query(RENEW).bind(id).bind(now).bind(length(request.lease)).bind(queues);
    let rows = session.fetch_alone(renew).await?;
    let is_oldest = rows.first().map(|row| Columns::of(row).get()).transpose()?;
    Ok(Leased { held: is_oldest.is_some(), is_oldest: is_oldest.unwrap_or(false) })
}

pub(super) async fn workers(session: &mut Session, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError> {
    let mut workers = Vec::new();
    for row in session.read(sqlx::query(WORKERS).bind(micros(now))).await? {
        let columns = &mut Columns::of(&row);
        let (id, label) = (WorkerId(columns.get()?), columns.get()?);
        let queues: Vec<i64> = columns.get()?;
        workers.push(WorkerView {
            id,
            label,
            queues: queues.into_iter().map(QueueId).collect(),
            started_at: columns.time()?,
            renewed_at: columns.time()?,
            expires_at: columns.time()?,
            is_live: columns.get()?,
        });
    }
    Ok(workers)
}

pub(super) async fn claims(
    session: &mut Session,
    whose: Whose,
    limit: u32,
) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
    let query = match whose {
        Whose::Worker(id) => sqlx::query(HELD).bind(id.0),
        Whose::Expired(now) => sqlx::query(EXPIRED).bind(micros(now)),
    };
    told(&session.read(query.bind(i64::from(limit))).await?)
}

pub(super) async fn overdue(
    session: &mut Session,
    of: Option<&[TaskId]>,
    now: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
    let query = sqlx::query(OVERDUE).bind(micros(now)).bind(i64::from(limit));
    told(&session.read(query.bind(of.map(uuids))).await?)
}

/// The claims that these rows are.
fn told(rows: &[PgRow]) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
    let mut claims = Vec::with_capacity(rows.len());
    for row in rows {
        let columns = &mut Columns::of(row);
        let (step, attempt) = (columns.step()?, columns.count()?);
        claims.extend(columns.worker()?.map(|by| (step, attempt, by)));
    }
    Ok(claims)
}
