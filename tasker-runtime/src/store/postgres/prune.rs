//! Tasks that ended long ago are deleted, a bounded number at a time.

use std::time::Duration;

use tasker_types::Timestamp;
use uuid::Uuid;

use super::rows::{Columns, micros, moment};
use super::session::Session;
use crate::store::StoreError;

/// Only among those that were submitted before: a UUIDv7 tells when, so the many that ended since are not looked at.
/// One that is about to be reopened is locked, and stays.
macro_rules! find {
    ($more:literal) => {
        concat!(
            "SELECT t.id FROM tasker.tasks AS t WHERE t.id < $1 AND t.finished_at < $2 AND NOT EXISTS \
             (SELECT 1 FROM tasker.event_deliveries AS d WHERE d.task = t.id)",
            $more,
            " ORDER BY t.id LIMIT $3 FOR UPDATE SKIP LOCKED"
        )
    };
}
const FIND: &str = find!("");
/// While a new subscriber is still to be given what was stored before it came.
const FIND_FILLING: &str = find!(
    " AND NOT EXISTS (SELECT 1 FROM tasker.domain_events AS e WHERE e.task = t.id AND e.position > $4 AND e.position <= $5)"
);
const FILLS: &str = "SELECT min(f.filled), max(f.until) FROM tasker.event_fills AS f";
const DELETES: &[&str] = &[
    "DELETE FROM tasker.live_steps WHERE task = ANY($1)",
    "DELETE FROM tasker.step_results WHERE task = ANY($1)",
    "DELETE FROM tasker.step_attempts WHERE task = ANY($1)",
    "DELETE FROM tasker.batches WHERE task = ANY($1)",
    "DELETE FROM tasker.domain_events WHERE task = ANY($1)",
    "DELETE FROM tasker.actions WHERE task = ANY($1)",
    "DELETE FROM tasker.checkpoints WHERE task = ANY($1)",
    "DELETE FROM tasker.reruns WHERE task = ANY($1)",
    "DELETE FROM tasker.identities WHERE task = ANY($1)",
    "DELETE FROM tasker.claim_timeouts WHERE task = ANY($1)",
    "DELETE FROM tasker.task_inputs WHERE task = ANY($1)",
    "DELETE FROM tasker.tasks WHERE id = ANY($1)",
];

/// By the server's clock, where nobody tells the time: a machine whose own is ahead deletes nothing early.
const NOW: &str = concat!("SELECT ", moment!("$1"));

pub(super) async fn prune(
    session: &mut Session,
    kept: Duration,
    limit: u32,
    now: Option<Timestamp>,
) -> Result<u64, StoreError> {
    session.begin().await?;
    let rows = session.fetch(sqlx::query(NOW).bind(micros(now))).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("the server does not tell the time".into()))?;
    let before = Columns::of(row).time()?.before(kept);
    // A new subscriber may be due what was stored before it came: it waits for this, or this for it.
    session.simple("LOCK TABLE tasker.event_subscribers IN ACCESS SHARE MODE").await?;
    let rows = session.fetch(sqlx::query(FILLS)).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("the server does not tell positions".into()))?;
    let columns = &mut Columns::of(row);
    let fills: (Option<i64>, Option<i64>) = (columns.get()?, columns.get()?);
    let find = sqlx::query(if fills.0.is_some() { FIND_FILLING } else { FIND });
    let find = find.bind(first_id_of(before)).bind(before.as_micros()).bind(i64::from(limit));
    let find = if let (Some(filled), Some(until)) = fills { find.bind(filled).bind(until) } else { find };
    let rows = session.fetch(find).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| Columns::of(row).get()).collect::<Result<_, _>>()?;
    if !ids.is_empty() {
        for delete in DELETES {
            session.execute(sqlx::query(*delete).bind(&ids)).await?;
        }
    }
    session.commit().await?;
    Ok(ids.len() as u64)
}

/// The lowest UUIDv7 of the millisecond after this moment: its first 48 bits are milliseconds since 1970.
fn first_id_of(moment: Timestamp) -> Uuid {
    let millis = u64::try_from(moment.as_micros() / 1_000 + 1).unwrap_or(0).min((1 << 48) - 1);
    Uuid::from_u128(u128::from(millis) << 80)
}
