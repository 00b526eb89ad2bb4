//! One batch: load, fold, write, commit.

use rusqlite::Connection;

use super::cache::Cache;
use super::load::load;
use super::templates::Templates;
use super::write::write;
use super::writer::{begin, commit};
use crate::core::{Batch, fold};
use crate::store::{Committed, StoreError};

pub(super) fn transact(
    connection: &Connection,
    templates: &Templates,
    cache: &mut Cache,
    batch: &Batch,
) -> Result<Committed, StoreError> {
    let now = batch.now.ok_or_else(|| StoreError::Corrupt("a batch for SQLite carries its time".into()))?;
    begin(connection)?;
    let (snapshot, backlog) = load(connection, templates, cache, batch, now)?;
    let writes = fold(snapshot, batch, backlog, now);
    write(connection, &writes)?;
    commit(connection)?;
    cache.committed(&writes);
    Ok(writes.into())
}
