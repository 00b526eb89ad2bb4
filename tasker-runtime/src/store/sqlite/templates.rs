//! Templates by their content, and the pinned ones that this process has met.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{Row as _, SqliteConnection};
use tasker_types::Timestamp;

use super::error::translate;
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
    pub(super) async fn by_id(&self, connection: &mut SqliteConnection, id: i64) -> Result<Arc<Pinned>, StoreError> {
        if let Some(pinned) = self.known(id) {
            return Ok(pinned);
        }
        let row = sqlx::query("SELECT body FROM templates WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(translate)?;
        let body: String = row
            .ok_or_else(|| StoreError::Corrupt(format!("there is no template {id}")))?
            .try_get(0)
            .map_err(translate)?;
        let resolved: ResolvedTemplate = serde_json::from_str(&body)
            .map_err(|error| StoreError::Corrupt(format!("template {id} cannot be read: {error}")))?;
        let known = queues(connection, &resolved.template.namespace).await?;
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
    pub(super) async fn pin(
        &self,
        connection: &mut SqliteConnection,
        resolved: ResolvedTemplate,
        now: Timestamp,
    ) -> Result<Arc<Pinned>, StoreError> {
        let (hash, template) = (resolved.hash().to_vec(), resolved.template.clone());
        let find = "SELECT id, generation = (SELECT max(o.generation) FROM templates o WHERE o.namespace = t.namespace AND o.name = t.name AND o.version = t.version) \
                    FROM templates t WHERE hash = ?";
        let stored = sqlx::query(find).bind(&hash).fetch_optional(&mut *connection).await.map_err(translate)?;
        if let Some(row) = &stored
            && row.try_get::<bool, _>(1).map_err(translate)?
        {
            return self.by_id(connection, row.try_get(0).map_err(translate)?).await;
        }
        begin(connection).await?;
        for step in &resolved.steps {
            let insert = sqlx::query("INSERT INTO queues (namespace, handler) VALUES (?, ?) ON CONFLICT DO NOTHING");
            insert.bind(&template.namespace).bind(&step.handler).execute(&mut *connection).await.map_err(translate)?;
        }
        let id = match find_by_hash(connection, &hash).await? {
            Some(id) => {
                let newest =
                    "UPDATE templates SET generation = (SELECT max(generation) + 1 FROM templates) WHERE id = ?";
                sqlx::query(newest).bind(id).execute(&mut *connection).await.map_err(translate)?;
                id
            }
            None => {
                // Not one statement with ON CONFLICT or RETURNING: SQLite would look for tasks of the new template in
                // every row of `tasks`.
                let insert = "INSERT INTO templates (hash, namespace, name, version, body, generation, stored_at) \
                              VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(generation), 0) + 1 FROM templates), ?)";
                let query = sqlx::query(insert).bind(&hash).bind(&template.namespace).bind(&template.name);
                let query = query.bind(&template.version).bind(resolved.to_json()).bind(now.as_micros());
                query.execute(&mut *connection).await.map_err(translate)?.last_insert_rowid()
            }
        };
        commit(connection).await?;
        self.by_id(connection, id).await
    }
}

async fn find_by_hash(connection: &mut SqliteConnection, hash: &[u8]) -> Result<Option<i64>, StoreError> {
    let find = sqlx::query_scalar("SELECT id FROM templates WHERE hash = ?").bind(hash);
    find.fetch_optional(connection).await.map_err(translate)
}

async fn queues(connection: &mut SqliteConnection, namespace: &str) -> Result<BTreeMap<String, QueueId>, StoreError> {
    let rows = sqlx::query("SELECT handler, id FROM queues WHERE namespace = ?")
        .bind(namespace)
        .fetch_all(&mut *connection)
        .await
        .map_err(translate)?;
    let mut queues = BTreeMap::new();
    for row in rows {
        queues.insert(row.try_get(0).map_err(translate)?, QueueId(row.try_get(1).map_err(translate)?));
    }
    Ok(queues)
}

pub(super) async fn all_queues(connection: &mut SqliteConnection) -> Result<Vec<Queue>, StoreError> {
    let sql = "SELECT id, namespace, handler FROM queues ORDER BY id";
    let mut queues = Vec::new();
    for row in sqlx::query(sql).fetch_all(connection).await.map_err(translate)? {
        let id = QueueId(row.try_get(0).map_err(translate)?);
        queues.push(Queue {
            id,
            namespace: row.try_get(1).map_err(translate)?,
            handler: row.try_get(2).map_err(translate)?,
        });
    }
    Ok(queues)
}
