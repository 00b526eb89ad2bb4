//! One batch: load, fold, write, commit.

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

pub(super) fn transact(
    connection: &Connection,
    templates: &Templates,
    cache: &mut Cache,
    batch: &Batch,
) -> Result<Committed, StoreError> {
    let now = told(batch.now)?;
    begin(connection)?;
    let snapshot = load(connection, templates, cache, batch)?;
    let capacity = match &batch.capacity {
        Some(capacity) if has_lease(connection, capacity.worker, now)? => {
            Some((capacity, backlog(connection, &capacity.queues, now)?))
        }
        _ => None,
    };
    let writes = fold(snapshot, &batch.commands, capacity, now);
    write(connection, &writes)?;
    commit(connection)?;
    cache.committed(&writes);
    Ok(Committed::of(writes, now))
}
