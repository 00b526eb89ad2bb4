//! Batches: load, fold, write, and one commit for all that came together.

use rusqlite::Connection;

use super::cache::Cache;
use super::load::{backlog, load};
use super::templates::Templates;
use super::workers::has_lease;
use super::write::write;
use super::writer::{begin, commit};
use crate::core::{Batch, fold};
use crate::store::contract::told;
use crate::store::{Committed, StoreError};

/// One transaction for all of these batches: each of them sees what those before it wrote.
pub(super) fn transact(
    connection: &Connection,
    templates: &Templates,
    cache: &mut Cache,
    batches: &[Batch],
) -> Result<Vec<Committed>, StoreError> {
    begin(connection)?;
    let mut committed = Vec::with_capacity(batches.len());
    for batch in batches {
        let joined = !committed.is_empty();
        committed.push(Committed { joined, ..write_one(connection, templates, cache, batch)? });
    }
    commit(connection)?;
    Ok(committed)
}

fn write_one(
    connection: &Connection,
    templates: &Templates,
    cache: &mut Cache,
    batch: &Batch,
) -> Result<Committed, StoreError> {
    let now = told(batch.now)?;
    let snapshot = load(connection, templates, cache, batch)?;
    let capacity = match &batch.capacity {
        Some(capacity) if has_lease(connection, capacity.worker, now)? => {
            Some((capacity, backlog(connection, &capacity.queues, now)?))
        }
        _ => None,
    };
    let writes = fold(snapshot, &batch.commands, capacity, now);
    write(connection, &writes)?;
    // What fails before the commit clears the cache.
    cache.written(&writes);
    Ok(Committed::of(writes, now))
}
