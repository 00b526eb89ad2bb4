//! Templates by their content, and the pinned ones that this process has met.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tasker_types::Timestamp;

use super::rows::{Columns, value};
use super::sql::{Binder, execute, execute_one, first, nothing, select_all};
use super::writer::{begin, commit};
use crate::core::{Pinned, QueueId, ResolvedTemplate, TemplateId};
use crate::store::{Queue, StoreError};

/// Pinned templates by their number. They never change, so they are never dropped.
#[derive(Debug, Default)]
pub(super) struct Templates(Mutex<HashMap<i64, Arc<Pinned>>>);

impl Templates {
    fn known(&self, id: i64) -> Option<Arc<Pinned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn keep(&self, id: i64, pinned: Pinned) -> Arc<Pinned> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(id).or_insert_with(|| Arc::new(pinned)).clone()
    }

    /// The template of this number, read where this process has not met it yet.
    pub(super) fn by_id(&self, connection: &Connection, id: i64) -> Result<Arc<Pinned>, StoreError> {
        if let Some(pinned) = self.known(id) {
            return Ok(pinned);
        }
        let find = "SELECT body FROM templates WHERE id = ?";
        let body: Option<String> = first(connection, find, |to| _ = to.add(id), value)?;
        let body = body.ok_or_else(|| StoreError::Corrupt(format!("there is no template {id}")))?;
        let resolved: ResolvedTemplate = serde_json::from_str(&body)
            .map_err(|error| StoreError::Corrupt(format!("template {id} cannot be read: {error}")))?;
        let known = queues(connection, &resolved.template.namespace)?;
        let mut numbers = Vec::with_capacity(resolved.steps.len());
        for step in &resolved.steps {
            let queue = known.get(&step.handler).copied();
            numbers.push(queue.ok_or_else(|| {
                StoreError::Corrupt(format!("template {id}: no queue of handler `{}`", step.handler))
            })?);
        }
        Ok(self.keep(id, Pinned::new(TemplateId(id), resolved, &numbers)))
    }

    /// Stores a template unless its content is there; makes it the one that new tasks of its version take.
    pub(super) fn pin(
        &self,
        connection: &Connection,
        resolved: ResolvedTemplate,
        now: Timestamp,
    ) -> Result<Arc<Pinned>, StoreError> {
        let (hash, template) = (resolved.hash(), resolved.template.clone());
        let bind_hash = |to: &mut Binder<'_, '_>| _ = to.add(&hash[..]);
        let find = "SELECT id, generation = (SELECT max(o.generation) FROM templates o WHERE o.namespace = t.namespace AND o.name = t.name AND o.version = t.version) \
                    FROM templates t WHERE hash = ?";
        let stored = first(connection, find, bind_hash, |columns| Ok((columns.get()?, columns.get()?)))?;
        if let Some((id, true)) = stored {
            return self.by_id(connection, id);
        }
        begin(connection)?;
        let insert = "INSERT INTO queues (namespace, handler) VALUES (?, ?) ON CONFLICT DO NOTHING";
        execute(connection, insert, &resolved.steps, |step, to| {
            to.add(&template.namespace).add(&step.handler);
        })?;
        let find = "SELECT id FROM templates WHERE hash = ?";
        let id = match first(connection, find, bind_hash, value)? {
            Some(id) => {
                let newest =
                    "UPDATE templates SET generation = (SELECT max(generation) + 1 FROM templates) WHERE id = ?";
                execute_one(connection, newest, |to| _ = to.add(id))?;
                id
            }
            None => {
                // Not one statement with ON CONFLICT or RETURNING: SQLite would look for tasks of the new template in
                // every row of `tasks`.
                let insert = "INSERT INTO templates (hash, namespace, name, version, body, generation, stored_at) \
                              VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(generation), 0) + 1 FROM templates), ?)";
                let body = resolved.to_json();
                execute_one(connection, insert, |to| {
                    to.add(&hash[..]).add(&template.namespace).add(&template.name).add(&template.version);
                    to.add(&body).add(now.as_micros());
                })?;
                connection.last_insert_rowid()
            }
        };
        commit(connection)?;
        self.by_id(connection, id)
    }
}

fn queues(connection: &Connection, namespace: &str) -> Result<BTreeMap<String, QueueId>, StoreError> {
    let find = "SELECT handler, id FROM queues WHERE namespace = ?";
    let read = |columns: &mut Columns<'_>| Ok((columns.get()?, QueueId(columns.get()?)));
    Ok(select_all(connection, find, |to| _ = to.add(namespace), read)?.into_iter().collect())
}

pub(super) fn all_queues(connection: &Connection) -> Result<Vec<Queue>, StoreError> {
    select_all(connection, "SELECT id, namespace, handler FROM queues ORDER BY id", nothing, |columns| {
        Ok(Queue { id: QueueId(columns.get()?), namespace: columns.get()?, handler: columns.get()? })
    })
}
