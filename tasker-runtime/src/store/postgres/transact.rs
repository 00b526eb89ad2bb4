//! One batch: lock, load, fold, write, commit.

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
    let now = batch.now.ok_or_else(|| StoreError::Corrupt("a batch carries its time".into()))?;
    session.begin().await?;
    let (snapshot, backlog) = load(session, templates, batch, now).await?;
    let writes = fold(snapshot, batch, backlog, now);
    write(session, &writes).await?;
    session.commit().await?;
    Ok(writes.into())
}
