//! One batch: lock, load, fold, write, commit; where little is written, the last two at once.

use super::common;
use super::load::load;
use super::session::Session;
use super::templates::Templates;
use super::write::write;
use crate::core::{Batch, fold};
use crate::store::{Committed, StoreError};

pub(super) async fn transact(
    session: &mut Session,
    templates: &Templates,
    batch: &Batch,
) -> Result<Committed, StoreError> {
    let (snapshot, (now, backlog)) = load(session, templates, batch).await?;
    let writes = fold(snapshot, &batch.commands, batch.capacity.as_ref().zip(backlog), now);
    if !common::commit_one(session, &writes).await? {
        write(session, &writes).await?;
        session.commit().await?;
    }
    for (row, _) in &writes.new_tasks {
        templates.meet(row.id, &row.pinned);
    }
    for reply in &writes.finished {
        templates.part(reply.task);
    }
    Ok(Committed::of(writes, now))
}
