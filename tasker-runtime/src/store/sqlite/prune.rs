//! Tasks that ended long ago are deleted, a bounded number at a time.

use sqlx::{Row as _, SqliteConnection};
use tasker_types::{TaskId, Timestamp};

use super::error::translate;
use super::rows;
use super::sql::Values;
use super::writer::{begin, commit};
use crate::store::StoreError;

pub(super) async fn prune(connection: &mut SqliteConnection, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    // In the order of the ids, which is that of the submits: old tasks that are still open are the only ones passed over.
    let find = "SELECT id FROM tasks WHERE finished_at < ? ORDER BY id LIMIT ?";
    let rows =
        sqlx::query(find).bind(before.as_micros()).bind(limit).fetch_all(&mut *connection).await.map_err(translate)?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        let bytes: Vec<u8> = row.try_get(0).map_err(translate)?;
        ids.push(TaskId::from_uuid(
            uuid::Uuid::from_slice(&bytes).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        ));
    }
    begin(connection).await?;
    for table in [
        "DELETE FROM live_steps WHERE task IN (VALUES ",
        "DELETE FROM step_results WHERE task IN (VALUES ",
        "DELETE FROM step_attempts WHERE task IN (VALUES ",
        "DELETE FROM actions WHERE task IN (VALUES ",
        "DELETE FROM task_inputs WHERE task IN (VALUES ",
        "DELETE FROM tasks WHERE finished_at IS NOT NULL AND id IN (VALUES ",
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
