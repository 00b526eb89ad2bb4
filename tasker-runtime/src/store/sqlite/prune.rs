//! Tasks that ended long ago are deleted, a bounded number at a time.

use std::time::Duration;

use rusqlite::Connection;
use tasker_types::{TaskId, Timestamp};

use super::load::bind_task;
use super::sql::{execute, select_all};
use super::writer::{begin, commit};
use crate::store::StoreError;
use crate::store::contract::told;

pub(super) fn prune(
    connection: &Connection,
    kept: Duration,
    limit: u32,
    now: Option<Timestamp>,
) -> Result<u64, StoreError> {
    let before = told(now)?.before(kept);
    // The lock comes first: what ended may be reopened by another process until it is held.
    begin(connection)?;
    // Only among those that were submitted before: a UUIDv7 tells when, so the many that ended since are not looked at.
    let find = "SELECT id FROM tasks WHERE id < ? AND finished_at < ? AND NOT EXISTS \
                (SELECT 1 FROM event_deliveries WHERE task = id) ORDER BY id LIMIT ?";
    let ids: Vec<TaskId> = select_all(
        connection,
        find,
        |to| _ = to.add(first_id_of(before)).add(before.as_micros()).add(limit),
        |columns| columns.task(),
    )?;
    for delete in [
        "DELETE FROM live_steps WHERE task = ?",
        "DELETE FROM step_results WHERE task = ?",
        "DELETE FROM step_attempts WHERE task = ?",
        "DELETE FROM batches WHERE task = ?",
        "DELETE FROM domain_events WHERE task = ?",
        "DELETE FROM actions WHERE task = ?",
        "DELETE FROM checkpoints WHERE task = ?",
        "DELETE FROM reruns WHERE task = ?",
        "DELETE FROM identities WHERE task = ?",
        "DELETE FROM claim_timeouts WHERE task = ?",
        "DELETE FROM task_inputs WHERE task = ?",
        "DELETE FROM tasks WHERE id = ?",
    ] {
        execute(connection, delete, &ids, bind_task)?;
    }
    commit(connection)?;
    Ok(ids.len() as u64)
}

/// The lowest UUIDv7 of the millisecond after this moment: its first 48 bits are milliseconds since 1970.
fn first_id_of(moment: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(moment.as_micros() / 1_000 + 1).unwrap_or(0).min((1 << 48) - 1);
    (u128::from(millis) << 80).to_be_bytes()
}
