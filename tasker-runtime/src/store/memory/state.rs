//! The rows themselves, and how a batch reads and writes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp, WorkerId};

use super::event::Events;
use crate::core::{
    ActionRow, AttemptRow, Batch, BatchRow, CheckpointRow, Claimed, Identity, LiveStep, Pinned, QueueId, RerunRow,
    ResultRow, Snapshot, StepRef, TaskInput, TaskRow, Writes, next_attempt,
};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};
use crate::store::{StoreError, WorkerView};

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) tasks: BTreeMap<TaskId, (TaskRow, TaskInput)>,
    pub(super) live: BTreeMap<StepRef, LiveStep>,
    pub(super) results: BTreeMap<StepRef, ResultRow>,
    pub(super) attempts: Vec<AttemptRow>,
    pub(super) actions: Vec<ActionRow>,
    pub(super) batches: BTreeMap<StepRef, BatchRow>,
    pub(super) checkpoints: BTreeMap<StepRef, CheckpointRow>,
    pub(super) reruns: BTreeMap<TaskId, RerunRow>,
    pub(super) identities: BTreeMap<Identity, TaskId>,
    pub(super) templates: Vec<Stored>,
    pub(super) queues: BTreeMap<(String, String), QueueId>,
    pub(super) workers: BTreeMap<WorkerId, WorkerView>,
    pub(super) events: Events,
}

#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) pinned: Arc<Pinned>,
    pub(super) hash: [u8; 32],
    /// Of two contents of one version, new tasks take the one with the higher generation.
    pub(super) generation: u64,
    pub(super) stored_at: Timestamp,
}

impl State {
    pub(super) fn load(&self, batch: &Batch) -> Snapshot {
        let mut snapshot = Snapshot::for_tasks(batch.commands.len());
        for id in batch.tasks() {
            if let Some((row, _)) = self.tasks.get(&id) {
                snapshot.load_task(row.clone());
                self.batches.range(all_of(id)).for_each(|(_, row)| snapshot.load_batch(*row));
            }
        }
        for id in batch.actions().into_iter().filter(|&id| self.actions.iter().any(|row| row.id == id)) {
            snapshot.load_action(id);
        }
        for id in batch.expiring() {
            let of_task = self.actions.iter().filter(|row| row.task == id);
            of_task.for_each(|row| snapshot.load_said(id, row.at, row.kind));
        }
        let identities = if planted(Bug::IdentityNotLookedUp) { Vec::new() } else { batch.identities() };
        for identity in identities {
            if let Some((row, _)) = self.identities.get(&identity).and_then(|task| self.tasks.get(task)) {
                snapshot.load_identity(identity, row.id, row.state);
            }
        }
        let (steps, whole) = batch.steps(|task| self.tasks.get(&task).map(|(row, _)| &*row.pinned));
        for step in steps {
            if let Some(row) = self.live.get(&step) {
                snapshot.load_live(row.clone());
            } else if let Some(row) = self.results.get(&step) {
                snapshot.load_over(step, row.outcome, row.attempt);
            }
        }
        for task in whole {
            let all = all_of(task);
            for row in self.live.range(all.clone()).map(|(_, row)| row) {
                snapshot.load_live(row.clone());
            }
            for (&step, row) in self.results.range(all) {
                snapshot.load_over(step, row.outcome, row.attempt);
            }
        }
        snapshot
    }

    pub(super) fn has_lease(&self, worker: WorkerId, now: Timestamp) -> bool {
        self.workers.get(&worker).is_some_and(|worker| worker.expires_at > now)
    }

    pub(super) fn claimable(&self, queues: &[QueueId], now: Timestamp) -> impl Iterator<Item = &LiveStep> {
        self.live.values().filter(move |row| {
            row.state == StepState::Ready
                && !row.held
                && row.ready_at <= now
                && queues.binary_search(&row.queue).is_ok()
        })
    }

    pub(super) fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let fenced = writes.live_deletes.iter().chain(writes.live_updates.iter().map(|(_, fence)| fence));
        for fence in fenced {
            let held = self.live.get(&StepRef { task: fence.task, number: fence.number });
            if !held.is_some_and(|row| row.attempt == fence.attempt && row.claimed_by == fence.claimed_by) {
                return Err(StoreError::Corrupt(format!(
                    "step {} of task {} changed under its lock",
                    fence.number, fence.task
                )));
            }
        }
        let known = |row: &TaskRow| self.templates.iter().any(|stored| stored.pinned.id == row.pinned.id);
        if let Some((row, _)) = writes.new_tasks.iter().find(|(row, _)| !known(row)) {
            return Err(StoreError::Corrupt(format!("there is no template {}", row.pinned.id.0)));
        }
        for (row, new) in &writes.new_tasks {
            self.tasks.insert(row.id, (row.clone(), new.input.clone()));
        }
        for row in &writes.tasks {
            if let Some(slot) = self.tasks.get_mut(&row.id) {
                slot.0 = row.clone();
            }
        }
        for gone in &writes.live_deletes {
            self.live.remove(&StepRef { task: gone.task, number: gone.number });
        }
        for row in writes.live_inserts.iter().chain(writes.live_updates.iter().map(|(row, _)| row)) {
            self.live.insert(StepRef { task: row.task, number: row.number }, row.clone());
        }
        for moved in &writes.reopened {
            if let Some(row) = self.results.remove(&StepRef { task: moved.task, number: moved.number }) {
                // What an operator ended before another attempt was made has the number of the one before.
                let key = (row.task, row.number, row.attempt);
                match self.attempts.iter_mut().find(|there| (there.task, there.number, there.attempt) == key) {
                    Some(there) => there.reopen(),
                    None => self.attempts.push(row.into_reopened()),
                }
            }
        }
        for row in &writes.results {
            self.results.insert(StepRef { task: row.task, number: row.number }, row.clone());
        }
        for row in &writes.batches {
            self.batches.insert(StepRef { task: row.task, number: row.number }, *row);
        }
        for copied in &writes.copied {
            for &(number, _) in &copied.steps {
                let Some(row) = self.results.get(&StepRef { task: copied.source, number }) else {
                    return Err(StoreError::Corrupt(format!("step {number} of task {} has no result", copied.source)));
                };
                let row = ResultRow { task: copied.task, ..row.clone() };
                self.results.insert(StepRef { task: copied.task, number }, row);
            }
        }
        for row in &writes.checkpoints {
            self.checkpoints.insert(StepRef { task: row.task, number: row.number }, row.clone());
        }
        self.reruns.extend(writes.reruns.iter().map(|row| (row.task, *row)));
        self.identities.extend(writes.identities().into_iter().map(|row| (row.identity, row.task)));
        self.attempts.extend(writes.attempts.iter().cloned());
        self.actions.extend(writes.actions.iter().cloned());
        self.events.write(&writes.events);
        Ok(())
    }

    pub(super) fn claim(&mut self, step: StepRef, worker: WorkerId, now: Timestamp) -> Option<Claimed> {
        let (task, _) = self.tasks.get_mut(&step.task)?;
        if task.state == TaskState::Pending {
            task.state = TaskState::Running;
            task.started_at = Some(now);
        }
        let pinned = task.pinned.clone();
        let row = self.live.get_mut(&step)?;
        if row.losses > 0 {
            mark(Mark::LossyClaimed);
        }
        row.state = StepState::Running;
        row.attempt = next_attempt(row);
        row.claimed_by = Some(worker);
        row.claimed_at = Some(now);
        Some(Claimed { task: step.task, pinned, live: row.clone() })
    }
}

pub(super) fn step_of(row: &LiveStep) -> StepRef {
    StepRef { task: row.task, number: row.number }
}

pub(super) fn all_of(task: TaskId) -> std::ops::RangeInclusive<StepRef> {
    StepRef { task, number: StepNumber(0) }..=StepRef { task, number: StepNumber(u32::MAX) }
}
