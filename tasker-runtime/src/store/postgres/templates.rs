//! Templates by their content, and the pinned ones that this process has met.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tasker_types::{TaskId, Timestamp};

use super::rows::Columns;
use super::session::Session;
use crate::by_id::ById;
use crate::core::{Pinned, QueueId, ResolvedTemplate, TemplateId};
use crate::store::{Queue, StoreError};

/// Of several processes that store templates, one goes first: numbers are given in order, without gaps.
const LOCK: i64 = 0x74_61_73_6b_70_69_6e;

/// Tasks that are under way of which the template is kept in mind. Beyond this many, it is read again.
const TASKS_MAX: usize = 32_768;

/// What this process has met.
#[derive(Debug, Default)]
pub(super) struct Templates {
    /// Pinned templates by their number. They never change, so they are never dropped.
    pinned: Mutex<HashMap<i64, Arc<Pinned>>>,
    /// Those of tasks that are under way: a task ends on the template that it started with.
    of_tasks: Mutex<ById<Arc<Pinned>>>,
}

impl Templates {
    pub(super) fn known(&self, id: i64) -> Option<Arc<Pinned>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The template of a task that this process has met.
    pub(super) fn of_task(&self, task: TaskId) -> Option<Arc<Pinned>> {
        self.tasks().get(task).cloned()
    }

    /// Keeps the template of a task in mind. Tells whether none or the same was known.
    pub(super) fn meet(&self, task: TaskId, pinned: &Arc<Pinned>) -> bool {
        let mut tasks = self.tasks();
        match tasks.get(task) {
            Some(known) if known.id == pinned.id => return true,
            Some(_) => {}
            None if tasks.len() >= TASKS_MAX => tasks.clear(),
            None => {}
        }
        tasks.insert(task, pinned.clone()).is_none()
    }

    /// Forgets it: the task is over.
    pub(super) fn part(&self, task: TaskId) {
        self.tasks().remove(task);
    }

    fn tasks(&self) -> MutexGuard<'_, ById<Arc<Pinned>>> {
        self.of_tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, id: i64, pinned: Pinned) -> Arc<Pinned> {
        let mut known = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(id).or_insert_with(|| Arc::new(pinned)).clone()
    }

    /// The template of this number, read where this process has not met it yet: in the transaction that was begun.
    pub(super) async fn by_id(&self, session: &mut Session, id: i64) -> Result<Arc<Pinned>, StoreError> {
        if let Some(pinned) = self.known(id) {
            return Ok(pinned);
        }
        let rows = session.fetch(sqlx::query("SELECT body FROM tasker.templates WHERE id = $1").bind(id)).await?;
        let row = rows.first().ok_or_else(|| StoreError::Corrupt(format!("there is no template {id}")))?;
        let resolved: ResolvedTemplate = serde_json::from_str(Columns::of(row).get()?)
            .map_err(|error| StoreError::Corrupt(format!("template {id} cannot be read: {error}")))?;
        let known = queues(session, &resolved.template.namespace).await?;
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
        session: &mut Session,
        resolved: &ResolvedTemplate,
        now: Timestamp,
    ) -> Result<Arc<Pinned>, StoreError> {
        let (hash, template) = (resolved.hash().to_vec(), &resolved.template);
        session.begin().await?;
        let find = "SELECT id, generation = (SELECT max(o.generation) FROM tasker.templates AS o \
                    WHERE o.namespace = t.namespace AND o.name = t.name AND o.version = t.version) \
                    FROM tasker.templates AS t WHERE hash = $1";
        let stored = session.fetch(sqlx::query(find).bind(&hash)).await?;
        if let Some(row) = stored.first() {
            let columns = &mut Columns::of(row);
            let (id, is_newest) = (columns.get()?, columns.get()?);
            if is_newest {
                let pinned = self.by_id(session, id).await?;
                session.end_read().await?;
                return Ok(pinned);
            }
        }
        session.fetch(sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK)).await?;
        for step in &resolved.steps {
            let insert = "INSERT INTO tasker.queues (id, namespace, handler) \
                          SELECT (SELECT coalesce(max(id), 0) + 1 FROM tasker.queues), $1, $2 \
                          WHERE NOT EXISTS (SELECT 1 FROM tasker.queues WHERE namespace = $1 AND handler = $2)";
            session.execute(sqlx::query(insert).bind(&template.namespace).bind(&step.handler)).await?;
        }
        let again = "UPDATE tasker.templates SET generation = (SELECT max(generation) + 1 FROM tasker.templates) \
                     WHERE hash = $1 RETURNING id";
        let mut rows = session.fetch(sqlx::query(again).bind(&hash)).await?;
        if rows.is_empty() {
            let insert = "INSERT INTO tasker.templates (id, hash, namespace, name, version, body, generation, stored_at) \
                          SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, coalesce(max(generation), 0) + 1, $6 \
                          FROM tasker.templates RETURNING id";
            let query = sqlx::query(insert).bind(&hash).bind(&template.namespace).bind(&template.name);
            let query = query.bind(&template.version).bind(resolved.to_json()).bind(now.as_micros());
            rows = session.fetch(query).await?;
        }
        let row = rows.first().ok_or_else(|| StoreError::Corrupt("a template has no number".into()))?;
        let id = Columns::of(row).get()?;
        session.commit().await?;
        session.begin().await?;
        let pinned = self.by_id(session, id).await?;
        session.end_read().await?;
        Ok(pinned)
    }
}

async fn queues(session: &mut Session, namespace: &str) -> Result<BTreeMap<String, QueueId>, StoreError> {
    let sql = "SELECT handler, id FROM tasker.queues WHERE namespace = $1";
    let mut queues = BTreeMap::new();
    for row in session.fetch(sqlx::query(sql).bind(namespace)).await? {
        let columns = &mut Columns::of(&row);
        queues.insert(columns.get()?, QueueId(columns.get()?));
    }
    Ok(queues)
}

pub(super) async fn all_queues(session: &mut Session) -> Result<Vec<Queue>, StoreError> {
    let mut queues = Vec::new();
    for row in session.read(sqlx::query("SELECT id, namespace, handler FROM tasker.queues ORDER BY id")).await? {
        let columns = &mut Columns::of(&row);
        queues.push(Queue { id: QueueId(columns.get()?), namespace: columns.get()?, handler: columns.get()? });
    }
    Ok(queues)
}
