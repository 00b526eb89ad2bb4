//! Tasks that ended long ago are deleted, a bounded number at a time.

use sqlx::SqliteConnection;
use tasker_types::{TaskId, Timestamp};

use super::error::translate;
use super::rows::{self, Columns};
use super::sql::Values;
use super::writer::{begin, commit};
use crate::store::StoreError;

pub(super) async fn prune(connection: &mut SqliteConnection, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    // The lock comes first: what ended may be reopened by another process until it is held.
    begin(connection).await?;
    // Only among those that were submitted before: a UUIDv7 tells when, so the many that ended since are not looked at.
    let find = sqlx::query("SELECT id FROM tasks WHERE id < ? AND finished_at < ? ORDER BY id LIMIT ?");
    let find = find.bind(first_id_of(before)).bind(before.as_micros()).bind(limit);
    let rows = find.fetch_all(&mut *connection).await.map_err(translate)?;
    let ids: Vec<TaskId> = rows.iter().map(|row| Columns::of(row).task()).collect::<Result<_, _>>()?;
    for table in [
        "DELETE FROM live_steps WHERE task IN (VALUES ",
        "DELETE FROM step_results WHERE task IN (VALUES ",
        "DELETE FROM step_attempts WHERE task IN (VALUES ",
        "DELETE FROM actions WHERE task IN (VALUES ",
        "DELETE FROM task_inputs WHERE task IN (VALUES ",
        "DELETE FROM tasks WHERE id IN (VALUES ",
    ] {
        Values::new(table, 1, ")")
            .execute(connection, &ids, |&id, to| {
                _ = to.add(rows::id(id));
            })
            .await?;
    }
    commit(connection).await?;
    Ok(ids.len() as u64)
}

/// The lowest UUIDv7 of the millisecond after this moment: its first 48 bits are milliseconds since 1970.
fn first_id_of(moment: Timestamp) -> Vec<u8> {
    let millis = u64::try_from(moment.as_micros() / 1_000 + 1).unwrap_or(0).min((1 << 48) - 1);
    (u128::from(millis) << 80).to_be_bytes().to_vec()
}
