//! Batches: load, fold, write, and one commit for all that came together.

use rusqlite::Connection;

use super::cache::Cache;
use super::load::{Submitted, backlog, load};
use super::templates::Templates;
use super::workers::has_lease;
use super::write::write;
use super::writer::{begin, commit, whole};
use crate::core::{Batch, Command, fold};
use crate::store::contract::told;
use crate::store::{Committed, StoreError};

/// One transaction for all of these batches: each of them sees what those before it wrote.
pub(super) fn transact(
    connection: &Connection,
    templates: &Templates,
    cache: &mut Cache,
    batches: &[Batch],
) -> Result<Vec<Committed>, StoreError> {
    let outcome = attempt(connection, templates, (cache, Submitted::AreNew), batches);
    match undone(outcome, (connection, cache)) {
        // It may be that a task was there already: then the primary key refused it.
        Err(StoreError::Corrupt(_)) if batches.iter().any(has_submits) => {
            let outcome = attempt(connection, templates, (cache, Submitted::MayExist), batches);
            undone(outcome, (connection, cache))
        }
        outcome => outcome,
    }
}

fn has_submits(batch: &Batch) -> bool {
    batch.commands.iter().any(|command| matches!(command, Command::Submit(_)))
}

/// What was done of a failed transaction is undone, and what is kept of it forgotten.
fn undone<T>(outcome: Result<T, StoreError>, (connection, cache): (&Connection, &mut Cache)) -> Result<T, StoreError> {
    if outcome.is_err() {
        cache.clear();
    }
    whole(outcome, connection)
}

fn attempt(
    connection: &Connection,
    templates: &Templates,
    (cache, submitted): (&mut Cache, Submitted),
    batches: &[Batch],
) -> Result<Vec<Committed>, StoreError> {
    begin(connection)?;
    let mut committed = Vec::with_capacity(batches.len());
    for batch in batches {
        let joined = !committed.is_empty();
        committed.push(Committed { joined, ..write_one(connection, templates, (cache, submitted), batch)? });
    }
    commit(connection)?;
    Ok(committed)
}

fn write_one(
    connection: &Connection,
    templates: &Templates,
    (cache, submitted): (&mut Cache, Submitted),
    batch: &Batch,
) -> Result<Committed, StoreError> {
    let now = told(batch.now)?;
    let snapshot = load(connection, templates, (cache, submitted), batch)?;
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
