//! A store in memory: for tests and simulation, by the same contract as the databases.

mod event;
mod state;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tasker_types::{DependencyResult, StepState, TaskId, TaskState, Timestamp, WorkerId};

use self::state::{State, Stored, all_of, step_of};
use super::contract::{
    ClaimRequest, Claims, Committed, DUE_MAX, Due, InputRequest, LeaseAct, LeaseRequest, Leased, Queue, StepInput,
    Store, WORKERS_KEPT, Whose, WorkerView, told,
};
use super::filter::TaskFilter;
use super::read::hex;
use super::read::{Counts, FailureGroup, Links, ListedTask, Page, StoredTemplate, TaskView};
use super::{Deliveries, DeliveryReport, DeliveryRequest, EventView, StoreError, SubscriberView, Subscription, read};
use crate::core::{
    ActionRow, AttemptRow, Backlog, Batch, BatchRow, Dump, EventRow, IdentityRow, LiveStep, Pinned, QueueId,
    ResolvedTemplate, StepRef, SubscriberId, TaskRow, TemplateId, fold,
};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds what this one holds now.
    #[cfg(feature = "testing")]
    pub(crate) fn copy(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()) }
    }

    /// Forgets what it holds, for what another one held.
    #[cfg(feature = "testing")]
    pub(crate) fn go_back_to(&self, earlier: Self) {
        *self.state() = earlier.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held was in core, before anything was written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        let early = planted(Bug::IdentityCheckedOutside).then(|| self.state().meant(&batch));
        if early.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut state = self.state();
        let now = told(batch.now)?;
        let mut snapshot = state.load(&batch, early.unwrap_or_else(|| state.meant(&batch)));
        snapshot.load_wanted(state.events.wanted());
        let capacity =
            batch.capacity.as_ref().filter(|capacity| state.has_lease(capacity.worker, now)).map(|capacity| {
                let waiting = state.claimable(&capacity.queues, now).filter(|row| row.losses == 0);
                (capacity, Backlog { top_priority: waiting.map(|row| row.priority).max() })
            });
        if batch.capacity.is_some() && capacity.is_none() {
            mark(Mark::CommitWithoutLease);
        }
        let writes = fold(snapshot, &batch.commands, capacity, now);
        state.write(&writes)?;
        Ok(Committed::of(writes, now))
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        let mut state = self.state();
        let (now, queues) = (told(request.now)?, &request.queues);
        if !state.has_lease(request.worker, now) && !planted(Bug::ClaimWithoutLease) {
            mark(Mark::ClaimWithoutLease);
            return Ok(Claims::default());
        }
        // By priority, then by the place in the queue; among equals the queue where the rotation begins comes first.
        let turn = |queue: QueueId| {
            let at = queues.binary_search(&queue).unwrap_or(0);
            (at + queues.len() - request.rotation % queues.len()) % queues.len()
        };
        let mut ready: Vec<_> = state
            .claimable(queues, now)
            .map(|row| (turn(row.queue), row.losses > 0, Reverse(row.priority), row.ready_at, step_of(row)))
            .collect();
        ready.sort_unstable();
        let queues = ready.chunk_by(|row, next| (row.0, row.1) == (next.0, next.1));
        let mut ready: Vec<_> = queues
            .flat_map(|queue| queue.iter().enumerate())
            .map(|(place, &(turn, lossy, priority, _, step))| (priority, place, turn, lossy, step))
            .collect();
        ready.sort_unstable();
        let fresh = ready.iter().filter(|row| !row.3).take(request.limit as usize);
        let lossy = ready.iter().filter(|row| row.3).take(usize::from(request.lossy));
        let chosen: Vec<StepRef> = fresh.chain(lossy).map(|row| row.4).collect();
        let claimed = chosen.into_iter().filter_map(|step| state.claim(step, request.worker, now)).collect();
        Ok(Claims { claimed, passed_over: false })
    }

    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError> {
        let (mut state, now) = (self.state(), told(now)?);
        let waits = |row: &&LiveStep| row.state == StepState::WaitingForRetry && !row.held;
        let mut waiting: Vec<(Timestamp, StepRef)> =
            state.live.values().filter(waits).map(|row| (row.ready_at, step_of(row))).collect();
        waiting.sort_unstable();
        let due = waiting.partition_point(|(ready_at, _)| *ready_at <= now).min(DUE_MAX as usize);
        for (_, step) in &waiting[..due] {
            if let Some(row) = state.live.get_mut(step) {
                row.state = StepState::Ready;
            }
        }
        Ok(Due { ready: due as u64, next: waiting.get(due).map(|(ready_at, _)| ready_at.since(now)) })
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        let (mut state, now) = (self.state(), told(request.now)?);
        let LeaseRequest { worker: id, act, lease, .. } = request;
        if act == LeaseAct::Begin {
            state.workers.retain(|_, worker| worker.expires_at > now.before(WORKERS_KEPT));
            state.workers.entry(id).or_insert_with(|| WorkerView {
                id,
                label: request.label.to_string(),
                queues: Vec::new(),
                started_at: now,
                renewed_at: now,
                expires_at: now + lease,
                is_live: true,
            });
        }
        if !state.has_lease(id, now) && !planted(Bug::ExpiredWorkerRevives) {
            return Ok(Leased::default());
        }
        let is_oldest = !state.workers.range(..id).any(|(_, older)| older.expires_at > now);
        if let Some(worker) = state.workers.get_mut(&id) {
            if act == LeaseAct::End {
                worker.expires_at = now;
                return Ok(Leased::default());
            }
            worker.queues = request.queues.to_vec();
            (worker.renewed_at, worker.expires_at) = (now, now + lease);
        }
        Ok(Leased { held: true, is_oldest })
    }

    async fn claims(&self, whose: Whose, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        let state = self.state();
        let expired_at = if let Whose::Expired(now) = whose { Some(told(now)?) } else { None };
        let wanted = |by: &WorkerId| match (whose, expired_at) {
            (Whose::Worker(worker), _) => *by == worker,
            (_, Some(now)) => !state.has_lease(*by, now) || planted(Bug::LiveWorkerSwept),
            _ => false,
        };
        let claims = state.live.iter();
        let claims = claims.filter_map(|(&step, row)| row.claimed_by.filter(wanted).map(|by| (step, row.attempt, by)));
        Ok(claims.take(limit as usize).collect())
    }

    async fn overdue(
        &self,
        of: Option<Vec<TaskId>>,
        now: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        let (state, now) = (self.state(), told(now)?);
        let held = state.live.iter().filter(|(step, _)| of.as_ref().is_none_or(|tasks| tasks.contains(&step.task)));
        let overdue = held.filter_map(|(&step, row)| {
            let allowed = state.tasks.get(&step.task)?.1.claim_timeout?;
            let timeout = if planted(Bug::LostBeforeItsTime) { allowed / 2 } else { allowed };
            let is_over = row.claimed_at? + timeout <= now;
            row.claimed_by.filter(|_| is_over).map(|by| (step, row.attempt, by))
        });
        Ok(overdue.take(limit as usize).collect())
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError> {
        let (state, now) = (self.state(), told(now)?);
        Ok(state
            .workers
            .values()
            .map(|worker| WorkerView { is_live: worker.expires_at > now, ..worker.clone() })
            .collect())
    }

    async fn inputs(&self, wanted: Vec<InputRequest>) -> Result<Vec<StepInput>, StoreError> {
        let state = self.state();
        let mut inputs: BTreeMap<TaskId, StepInput> = BTreeMap::new();
        for InputRequest { task, context, results, workers_from, checkpoint_of } in wanted {
            let given = inputs.entry(task).or_insert_with(|| StepInput::of(task));
            if let Some((row, input)) = state.tasks.get(&task).filter(|_| context) {
                given.context = Some(Arc::new(read::for_execution(row, input)?));
            }
            let beyond = workers_from.into_iter().flat_map(|first| {
                let from = StepRef { task, number: first };
                state.results.range(from..=*all_of(task).end()).map(|(step, _)| step.number)
            });
            for number in results.into_iter().chain(beyond) {
                let row = state.results.get(&StepRef { task, number });
                if let Some(row) = row.filter(|row| row.outcome.decides_successors()) {
                    let result = row.result.as_deref().map(read::json).transpose()?;
                    given.results.insert(number, result.map(|result| Arc::new(DependencyResult { result })));
                }
            }
            let saved = checkpoint_of.and_then(|number| state.checkpoints.get(&StepRef { task, number }));
            if let Some(row) = saved {
                given.checkpoints.insert(row.number, Arc::new(read::json(&row.value)?));
            }
        }
        Ok(inputs.into_values().collect())
    }

    async fn cancelling(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
        let state = self.state();
        let cancelling =
            |task: &TaskId| state.tasks.get(task).is_some_and(|(row, _)| row.state == TaskState::Cancelling);
        Ok(tasks.into_iter().filter(cancelling).collect())
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        let state = self.state();
        let queue = |((namespace, handler), &id): (&(String, String), &QueueId)| Queue {
            id,
            namespace: namespace.clone(),
            handler: handler.clone(),
        };
        Ok(state.queues.iter().map(queue).collect())
    }

    async fn pin(&self, template: ResolvedTemplate, now: Timestamp) -> Result<Arc<Pinned>, StoreError> {
        let state = &mut *self.state();
        let hash = template.hash();
        let generation = state.templates.iter().map(|stored| stored.generation).max().unwrap_or(0) + 1;
        if let Some(stored) = state.templates.iter_mut().find(|stored| stored.hash == hash) {
            stored.generation = generation;
            return Ok(stored.pinned.clone());
        }
        let mut queues = Vec::with_capacity(template.steps.len());
        for step in &template.steps {
            let next = QueueId(i64::try_from(state.queues.len()).unwrap_or(i64::MAX) + 1);
            let of = (template.template.namespace.clone(), step.handler.clone());
            queues.push(*state.queues.entry(of).or_insert(next));
        }
        let id = TemplateId(i64::try_from(state.templates.len()).unwrap_or(i64::MAX) + 1);
        let pinned = Arc::new(Pinned::new(id, template, &queues));
        state.templates.push(Stored { pinned: pinned.clone(), hash, generation, stored_at: now });
        Ok(pinned)
    }

    async fn find_template(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Arc<Pinned>>, StoreError> {
        let state = self.state();
        let found = state
            .templates
            .iter()
            .map(|stored| (&stored.pinned.template, stored))
            .filter(|(template, _)| template.namespace == namespace && template.name == name)
            .filter(|(template, _)| version.is_none_or(|version| template.version == version))
            .max_by_key(|(template, stored)| (read::version_key(&template.version), stored.generation));
        Ok(found.map(|(_, stored)| stored.pinned.clone()))
    }

    async fn list_templates(&self) -> Result<Vec<StoredTemplate>, StoreError> {
        let state = self.state();
        let mut templates: Vec<&Stored> = state.templates.iter().collect();
        templates.sort_by_cached_key(|stored| {
            let template = &stored.pinned.template;
            let version = read::version_key(&template.version);
            (template.namespace.clone(), template.name.clone(), version, stored.generation)
        });
        let view = |stored: &Stored| {
            let runs_on = |row: &TaskRow| row.pinned.id == stored.pinned.id && !row.state.is_over();
            let template = &stored.pinned.template;
            StoredTemplate {
                namespace: template.namespace.clone(),
                name: template.name.clone(),
                version: template.version.clone(),
                hash: hex(&stored.hash),
                stored_at: stored.stored_at,
                open_tasks: state.tasks.values().filter(|(row, _)| runs_on(row)).count() as u64,
            }
        };
        Ok(templates.into_iter().map(view).collect())
    }

    async fn with_lifecycle(&self) -> Result<Vec<Arc<Pinned>>, StoreError> {
        let state = self.state();
        let limited = |stored: &&Stored| stored.pinned.template.lifecycle.is_some();
        Ok(state.templates.iter().filter(limited).map(|stored| stored.pinned.clone()).collect())
    }

    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError> {
        Ok(self.state().tasks.get(&task).map(|(row, _)| row.state))
    }

    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError> {
        let state = self.state();
        let Some((row, input)) = state.tasks.get(&task) else { return Ok(None) };
        let live = state.live.range(all_of(task)).map(|(_, row)| row.clone()).collect();
        let results = state.results.range(all_of(task)).map(|(_, row)| row.clone()).collect();
        let attempts = state.attempts.iter().filter(|row| row.task == task).cloned().collect();
        let actions = state.actions.iter().filter(|row| row.task == task).cloned().collect();
        let batches: Vec<BatchRow> = state.batches.range(all_of(task)).map(|(_, row)| *row).collect();
        let checkpoints = state.checkpoints.range(all_of(task)).map(|(_, row)| row.clone()).collect();
        let reruns = state.reruns.values().filter(|row| row.task == task || row.source == task);
        let links = Links { actions, checkpoints, reruns: reruns.copied().collect() };
        read::task_view(row.clone(), input.clone(), &batches, live, results, attempts, links).map(Some)
    }

    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError> {
        let state = self.state();
        let listed = state
            .tasks
            .values()
            .rev()
            .map(|(row, _)| row)
            .filter(|row| page.before.is_none_or(|before| row.id < before))
            .filter(|row| filter.admits(row, state.results.range(all_of(row.id)).map(|(_, over)| over)))
            .take(page.rows() as usize)
            .map(|row| {
                let batches: Vec<BatchRow> = state.batches.range(all_of(row.id)).map(|(_, row)| *row).collect();
                let waits = |live: &&LiveStep| live.state == StepState::WaitingForRetry && live.attempt == 0;
                let starts = state.live.range(all_of(row.id)).map(|(_, live)| live).filter(waits);
                let starts = starts.map(|live| live.ready_at).min().map(|at| (row.id, at));
                let starts = starts.filter(|(task, _)| read::unstarted(std::slice::from_ref(row)).contains(task));
                read::listed(row.clone(), &batches, &starts.into_iter().collect())
            });
        Ok(listed.collect())
    }

    async fn failures(&self, filter: TaskFilter, limit: u32) -> Result<Vec<FailureGroup>, StoreError> {
        let state = self.state();
        let failed = state.tasks.values().rev().map(|(row, _)| row);
        let failed = failed.filter(|row| row.state == TaskState::Failed && filter.admits_template(&row.pinned));
        let steps = failed.take(super::FAILED_TASKS_MAX as usize).flat_map(|row| {
            let over = state.results.range(all_of(row.id)).map(|(_, over)| over);
            over.filter(|over| filter.admits_step(&row.pinned, over)).map(move |over| (row, over))
        });
        let rows = steps.map(|(row, over)| {
            let detail = over.detail.as_deref().map(read::json).transpose()?;
            let text = |key: &str| detail.as_ref().and_then(|detail| Some(detail.get(key)?.as_str()?.to_owned()));
            Ok(read::FailuresOfVersion {
                pinned: row.pinned.clone(),
                number: over.number,
                error_type: text("error_type"),
                error_code: text("error_code"),
                failures: 1,
                newest: row.id,
                last_at: over.finished_at,
            })
        });
        Ok(read::failure_groups(rows.collect::<Result<Vec<_>, StoreError>>()?, limit))
    }

    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        let state = self.state();
        let Some((first, last)) = read::uuids_with_prefix(prefix) else { return Ok(Vec::new()) };
        let matching = state.tasks.keys().filter(|id| (first..=last).contains(&id.uuid()));
        Ok(matching.take(limit as usize).copied().collect())
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let state = self.state();
        let tasks =
            |wanted: fn(TaskState) -> bool| state.tasks.values().filter(|(row, _)| wanted(row.state)).count() as u64;
        let steps = |wanted| state.live.values().filter(|row| row.state == wanted).count() as u64;
        Ok(Counts {
            open_tasks: tasks(|state| !state.is_over()),
            failed_tasks: tasks(|state| state == TaskState::Failed),
            ready_steps: steps(StepState::Ready),
            running_steps: steps(StepState::Running),
            waiting_steps: steps(StepState::WaitingForRetry),
        })
    }

    async fn version(&self) -> Result<i64, StoreError> {
        Ok(0)
    }

    async fn settled(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError> {
        Ok(self.state().events.subscribe(subscription, told(now)?))
    }

    async fn unsubscribe(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.state().events.unsubscribe(name))
    }

    async fn subscribers(&self) -> Result<Vec<SubscriberView>, StoreError> {
        Ok(self.state().events.subscribers())
    }

    async fn deliveries(&self, request: DeliveryRequest) -> Result<Deliveries, StoreError> {
        Ok(self.state().deliveries(request, told(request.now)?))
    }

    async fn delivered(&self, subscriber: SubscriberId, report: DeliveryReport) -> Result<(), StoreError> {
        self.state().events.delivered(subscriber, report);
        Ok(())
    }

    async fn events_of(&self, task: TaskId, after: Option<i64>, limit: u32) -> Result<Vec<EventView>, StoreError> {
        Ok(self.state().events.of_task(task, after, limit))
    }

    async fn prune(&self, kept: Duration, limit: u32, now: Option<Timestamp>) -> Result<u64, StoreError> {
        let mut state = self.state();
        let before = told(now)?.before(kept);
        let ended = |row: &TaskRow| row.state.is_over() && row.finished_at.is_some_and(|at| at < before);
        let awaits = |id| state.events.awaits(id);
        let gone: BTreeSet<TaskId> = state
            .tasks
            .values()
            .filter(|(row, _)| ended(row) && !awaits(row.id))
            .take(limit as usize)
            .map(|(row, _)| row.id)
            .collect();
        state.events.forget(|task| gone.contains(&task));
        state.tasks.retain(|id, _| !gone.contains(id));
        state.live.retain(|step, _| !gone.contains(&step.task));
        state.results.retain(|step, _| !gone.contains(&step.task));
        state.attempts.retain(|row| !gone.contains(&row.task));
        state.actions.retain(|row| !gone.contains(&row.task));
        state.batches.retain(|step, _| !gone.contains(&step.task));
        state.checkpoints.retain(|step, _| !gone.contains(&step.task));
        state.reruns.retain(|task, _| !gone.contains(task));
        state.identities.retain(|_, task| !gone.contains(task));
        Ok(gone.len() as u64)
    }

    async fn dump(&self, after: Option<TaskId>, limit: u32) -> Result<Dump, StoreError> {
        let state = self.state();
        let tasks: Vec<TaskRow> = state
            .tasks
            .values()
            .map(|(row, _)| row)
            .filter(|row| after.is_none_or(|after| row.id > after))
            .take(limit as usize)
            .cloned()
            .collect();
        let ids: BTreeSet<TaskId> = tasks.iter().map(|row| row.id).collect();
        let mut attempts: Vec<AttemptRow> =
            state.attempts.iter().filter(|row| ids.contains(&row.task)).cloned().collect();
        attempts.sort_by_key(|row| (row.task, row.number, row.attempt));
        let mut actions: Vec<ActionRow> = state.actions.iter().filter(|row| ids.contains(&row.task)).cloned().collect();
        actions.sort_by_key(|row| (row.task, row.at, row.id));
        let mut events: Vec<EventRow> = state.events.rows().filter(|row| ids.contains(&row.task)).cloned().collect();
        events.sort_by_key(|row| row.task);
        Ok(Dump {
            tasks,
            events,
            live: state.live.values().filter(|row| ids.contains(&row.task)).cloned().collect(),
            results: state.results.values().filter(|row| ids.contains(&row.task)).cloned().collect(),
            attempts,
            actions,
            batches: state.batches.values().filter(|row| ids.contains(&row.task)).copied().collect(),
            checkpoints: state.checkpoints.values().filter(|row| ids.contains(&row.task)).cloned().collect(),
            reruns: state.reruns.values().filter(|row| ids.contains(&row.task)).copied().collect(),
            identities: state
                .identities
                .iter()
                .filter(|(_, task)| ids.contains(task))
                .map(|(&identity, &task)| IdentityRow { identity, task })
                .collect(),
        })
    }
}
