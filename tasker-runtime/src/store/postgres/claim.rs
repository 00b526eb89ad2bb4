//! Ready steps go to this worker; steps whose retry is due become ready. Neither ever waits for a lock.

use std::collections::HashMap;
use std::time::Duration;

use tasker_types::Timestamp;

use super::load::keyed;
use super::rows::{self, Columns, LIVE_COLUMNS, live_columns, moment};
use super::session::Session;
use super::templates::Templates;
use crate::core::{Claimed, StepRef};
use crate::store::{ClaimRequest, Claims, DUE_MAX, Due, StoreError};

/// How often a claim looks again where another worker took what it had seen.
const LOOKS_MAX: usize = 3;

/// The steps that come first: by priority, then by their place in their queue, then by whose turn it is. One probe of an
/// index a queue, in the index's own order. None where the worker has no lease. The conditions are those of the index, to the letter.
macro_rules! probe {
    ($losses:literal) => {
        concat!(
            "SELECT p.task, p.number FROM unnest($1::bigint[]) WITH ORDINALITY AS q (queue, turn) CROSS JOIN LATERAL \
             (SELECT l.task, l.number, l.priority, row_number() OVER (ORDER BY l.priority DESC, l.ready_at, l.task, l.number) AS place \
             FROM tasker.live_steps AS l WHERE l.queue = q.queue \
             AND l.state = 1 AND NOT l.held AND ",
            $losses,
            " AND l.ready_at <= (SELECT ",
            moment!("$2"),
            ") ORDER BY l.priority DESC, l.ready_at, l.task, l.number LIMIT $3) AS p WHERE EXISTS (SELECT 1 FROM tasker.workers AS w \
             WHERE w.incarnation = $4 AND w.expires_at > (SELECT ",
            moment!("$2"),
            ")) \
             ORDER BY p.priority DESC, p.place, q.turn LIMIT $3"
        )
    };
}
pub(super) const FRESH: &str = probe!("l.losses = 0");
pub(super) const LOSSY: &str = probe!("l.losses > 0");

/// Takes the steps that nobody else is about to change. Where a step's task is pending still, its row is taken too, as
/// its state changes with this claim; where another transaction has it, the step is left for the next claim.
pub(super) const TAKE: &str = concat!(
    "WITH now AS MATERIALIZED (SELECT ",
    moment!("$4"),
    " AS at), chosen AS MATERIALIZED (SELECT l.task, l.number FROM unnest($1::uuid[], $2::integer[]) AS v (task, number) \
     JOIN tasker.live_steps AS l ON l.task = v.task AND l.number = v.number WHERE l.state = 1 AND NOT l.held \
     AND EXISTS (SELECT 1 FROM tasker.workers AS w WHERE w.incarnation = $3 AND w.expires_at > (SELECT n.at FROM now AS n)) \
     FOR UPDATE OF l SKIP LOCKED), \
     pending AS MATERIALIZED (SELECT t.id FROM tasker.tasks AS t \
     WHERE t.id = ANY(ARRAY(SELECT c.task FROM chosen AS c)) AND t.state = 0 \
     ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED), \
     started AS (UPDATE tasker.tasks AS t SET state = 1, started_at = (SELECT n.at FROM now AS n) \
     WHERE t.id = ANY(ARRAY(SELECT p.id FROM pending AS p))) \
     UPDATE tasker.live_steps AS l SET state = 2, attempt = l.attempt + 1, claimed_by = $3, claimed_at = (SELECT n.at FROM now AS n) \
     FROM chosen AS c JOIN tasker.tasks AS t ON t.id = c.task WHERE l.task = c.task AND l.number = c.number \
     AND (t.state <> 0 OR c.task IN (SELECT p.id FROM pending AS p)) RETURNING ",
    live_columns!(),
    ", t.template"
);

pub(super) const NEXT_DUE: &str = concat!(
    "SELECT l.ready_at - ",
    moment!("$1"),
    " FROM tasker.live_steps AS l WHERE l.state = 3 AND NOT l.held ORDER BY l.ready_at LIMIT 1"
);
/// By where the locked rows stand: a join with the table may read all of it where many retries are due at once.
pub(super) const DUE: &str = concat!(
    "WITH due AS MATERIALIZED (SELECT l.ctid FROM tasker.live_steps AS l WHERE l.state = 3 \
                              AND NOT l.held AND l.ready_at <= (SELECT ",
    moment!("$1"),
    ") ORDER BY l.ready_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
                              UPDATE tasker.live_steps AS l SET state = 1 \
                              WHERE l.ctid = ANY(ARRAY(SELECT d.ctid FROM due AS d)) AND l.state = 3 RETURNING 1"
);

pub(super) async fn claim(
    session: &mut Session,
    templates: &Templates,
    request: &ClaimRequest,
) -> Result<Claims, StoreError> {
    let mut claimed: Vec<Claimed> = Vec::new();
    let (mut fresh, mut lossy) = (request.limit as usize, usize::from(request.lossy));
    // What another worker is about to take is not looked at twice: the next look goes beyond it.
    let mut passed: Vec<StepRef> = Vec::new();
    for _ in 0..LOOKS_MAX {
        let looked = async {
            let mut chosen = probe(session, request, (FRESH, fresh), &passed).await?;
            chosen.extend(probe(session, request, (LOSSY, lossy), &passed).await?);
            let taken = if chosen.is_empty() { Vec::new() } else { take(session, templates, request, &chosen).await? };
            Ok((chosen, taken))
        };
        let (chosen, taken) = match looked.await {
            Ok((chosen, _)) if chosen.is_empty() => break,
            Ok(looked) => looked,
            // What was taken before is known; what became of this one is found out like any other claim of which
            // nobody knows.
            Err(error) if claimed.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a claim was cut short");
                break;
            }
        };
        let complete = taken.len() == chosen.len();
        let losses = taken.iter().filter(|claim| claim.live.losses > 0).count();
        (fresh, lossy) = (fresh.saturating_sub(taken.len() - losses), lossy.saturating_sub(losses));
        let is_taken = |step: &StepRef| taken.iter().any(|of| (of.task, of.live.number) == (step.task, step.number));
        passed.extend(chosen.into_iter().filter(|step| !is_taken(step)));
        claimed.extend(taken);
        if complete {
            break;
        }
    }
    Ok(Claims { claimed, passed_over: !passed.is_empty() })
}

async fn probe(
    session: &mut Session,
    request: &ClaimRequest,
    (text, limit): (&'static str, usize),
    passed: &[StepRef],
) -> Result<Vec<StepRef>, StoreError> {
    if limit == 0 || request.queues.is_empty() {
        return Ok(Vec::new());
    }
    let start = request.rotation % request.queues.len();
    let rotated: Vec<i64> =
        request.queues[start..].iter().chain(&request.queues[..start]).map(|queue| queue.0).collect();
    let rows = i64::try_from(limit + passed.len()).unwrap_or(i64::MAX);
    let query = sqlx::query(text).bind(rotated).bind(rows::micros(request.now)).bind(rows).bind(request.worker.0);
    let mut found: Vec<StepRef> =
        session.read(query).await?.iter().map(|row| Columns::of(row).step()).collect::<Result<_, _>>()?;
    found.retain(|step| !passed.contains(step));
    found.truncate(limit);
    Ok(found)
}

async fn take(
    session: &mut Session,
    templates: &Templates,
    request: &ClaimRequest,
    chosen: &[StepRef],
) -> Result<Vec<Claimed>, StoreError> {
    let query = keyed(TAKE, chosen).bind(request.worker.0).bind(rows::micros(request.now));
    let mut taken = Vec::with_capacity(chosen.len());
    for row in session.fetch_alone(query).await? {
        taken.push((rows::live(&row)?, Columns::from(&row, LIVE_COLUMNS).get::<i64>()?));
    }
    let order: HashMap<StepRef, usize> = chosen.iter().enumerate().map(|(place, &step)| (step, place)).collect();
    taken.sort_by_key(|(live, _)| order.get(&StepRef { task: live.task, number: live.number }).copied());
    let mut claimed = Vec::with_capacity(taken.len());
    for (live, template) in taken {
        let pinned = match templates.known(template) {
            Some(pinned) => pinned,
            None => read_template(session, templates, template).await?,
        };
        claimed.push(Claimed { task: live.task, pinned, live });
    }
    Ok(claimed)
}

/// The claim is committed: where its template cannot be read, the worker has steps that it does not know of.
async fn read_template(
    session: &mut Session,
    templates: &Templates,
    template: i64,
) -> Result<std::sync::Arc<crate::core::Pinned>, StoreError> {
    let read = async {
        session.begin_read().await?;
        let pinned = templates.by_id(session, template).await?;
        session.end_read().await?;
        Ok(pinned)
    };
    read.await.map_err(|error: StoreError| StoreError::Unknown(format!("steps were claimed, but: {error}")))
}

pub(super) async fn due(session: &mut Session, now: Option<Timestamp>) -> Result<Due, StoreError> {
    let now = rows::micros(now);
    let first = next_due(session, now).await?;
    if first.is_none_or(|first| !first.is_zero()) {
        return Ok(Due { ready: 0, next: first });
    }
    let ready = session.fetch_alone(sqlx::query(DUE).bind(now).bind(i64::from(DUE_MAX))).await?.len();
    Ok(Due { ready: ready as u64, next: next_due(session, now).await? })
}

async fn next_due(session: &mut Session, now: Option<i64>) -> Result<Option<Duration>, StoreError> {
    let rows = session.read(sqlx::query(NEXT_DUE).bind(now)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let left: i64 = Columns::of(row).get()?;
    Ok(Some(Duration::from_micros(u64::try_from(left).unwrap_or(0))))
}
