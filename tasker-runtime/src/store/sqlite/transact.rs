//! One batch: load, fold, write, commit.

use sqlx::SqliteConnection;

use super::cache::Cache;
use super::load::load;
use super::templates::Templates;
use super::write::write_and_commit;
use crate::core::{Batch, fold};
use crate::store::{Committed, StoreError};

pub(super) async fn transact(
    connection: &mut SqliteConnection,
    templates: &Templates,
    cache: &mut Cache,
    batch: &Batch,
) -> Result<Committed, StoreError> {
    let now = batch.now.ok_or_else(|| StoreError::Corrupt("a batch for SQLite carries its time".into()))?;
    let (snapshot, around) = load(connection, templates, cache, batch, now).await?;
    let writes = fold(snapshot, batch, around.backlog, now);
    write_and_commit(connection, &writes, around.written).await?;
    cache.committed(&writes);
    Ok(writes.into())
}
