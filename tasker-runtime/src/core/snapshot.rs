//! The rows that a batch of commands may read and change, and what became of them.

use std::collections::{BTreeMap, BTreeSet};

use tasker_types::{DeliveryMode, StepNumber, StepState, TaskId, TaskState, Timestamp, Wanted};
use uuid::Uuid;

use super::batch::{Copied, Fence, Reopened, Reply};
use super::{
    ActionRow, AttemptRow, BatchRow, Change, CheckpointRow, Command, EventRow, Identity, LiveStep, NewTask, RerunRow,
    ResultRow, Say, StepRef, TaskRow, ToldEvent,
};
use crate::by_id::ById;

/// The rows that a batch of commands may read and change.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) tasks: Slots,
    pub(super) results: Vec<ResultRow>,
    pub(super) reopened: Vec<Reopened>,
    pub(super) attempts: Vec<AttemptRow>,
    pub(super) actions: Vec<ActionRow>,
    /// The last one of each step.
    pub(super) checkpoints: Vec<CheckpointRow>,
    pub(super) copied: Vec<Copied>,
    pub(super) reruns: Vec<RerunRow>,
    /// Events that are stored, and those that are told at once.
    pub(super) events: Vec<EventRow>,
    pub(super) told: Vec<ToldEvent>,
    /// Which lifecycle events somebody subscribes to.
    pub(super) wanted: Wanted,
    /// Whether a step of a task that was loaded publishes events.
    publishes: bool,
    /// Actions of the batch that were taken in an earlier one.
    pub(super) taken: BTreeSet<Uuid>,
    /// What was said last of the time of each task that may be out of it.
    said: BTreeMap<TaskId, (Timestamp, Say)>,
    /// Which task each identity of the batch means, and in what state it was loaded.
    identities: BTreeMap<Identity, (TaskId, TaskState)>,
    /// Steps that were made ready: some of them more than once, and some that are not ready any more.
    ready: Vec<StepRef>,
    pub(super) finished: Vec<TaskId>,
}

/// Tasks in the order in which they were loaded or appeared, and where each stands: one is looked up a dozen times for a command.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<TaskSlot>,
    places: ById<usize>,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    fn get(&self, task: TaskId) -> Option<&TaskSlot> {
        self.slots.get(*self.places.get(task)?)
    }

    fn get_mut(&mut self, task: TaskId) -> Option<&mut TaskSlot> {
        self.slots.get_mut(*self.places.get(task)?)
    }

    fn insert(&mut self, task: TaskSlot) {
        match self.get_mut(task.row.id) {
            Some(there) => *there = task,
            None => {
                self.places.insert(task.row.id, self.slots.len());
                self.slots.push(task);
            }
        }
    }

    /// All of them in the order of their ids.
    pub(super) fn into_ordered(mut self) -> Vec<TaskSlot> {
        self.slots.sort_unstable_by_key(|slot| slot.row.id);
        self.slots
    }
}

/// A task with what is known of its steps. Few of them are: they are kept in the order of their numbers.
#[derive(Debug)]
pub(super) struct TaskSlot {
    pub(super) row: TaskRow,
    pub(super) new: Option<Box<NewTask>>,
    pub(super) dirty: bool,
    pub(super) live: Vec<LiveSlot>,
    /// Steps that are over, with their outcome.
    over: Vec<(StepNumber, Over)>,
    /// The batches of the task, and whether each stands otherwise than it was loaded.
    pub(super) batches: Vec<(BatchRow, bool)>,
}

/// A live row, of which at least one of the two is there.
#[derive(Debug)]
pub(super) struct LiveSlot {
    number: StepNumber,
    /// What it was loaded with, where it was loaded.
    pub(super) loaded: Option<Fence>,
    /// How it stands now, unless it went.
    pub(super) now: Option<LiveStep>,
    /// Whether it stands otherwise than it was loaded.
    pub(super) dirty: bool,
}

/// What is loaded of a step that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// How it ended.
    pub outcome: StepState,
    /// The attempt that ended it.
    pub attempt: u32,
}

impl Snapshot {
    /// Nothing yet, with room for so many tasks.
    #[must_use]
    pub fn for_tasks(count: usize) -> Self {
        let tasks = Slots { slots: Vec::with_capacity(count), places: ById::with_capacity(count) };
        Self { tasks, results: Vec::with_capacity(count), ready: Vec::with_capacity(count), ..Self::default() }
    }

    /// Adds a task as it stands in the database.
    pub fn load_task(&mut self, row: TaskRow) {
        self.publishes |= row.pinned.publishes();
        self.tasks.insert(TaskSlot::new(row, None));
    }

    /// Adds a live row of a task that was loaded, as it stands in the database.
    pub fn load_live(&mut self, row: LiveStep) {
        let Some(task) = self.tasks.get_mut(row.task) else { return };
        let fence = Fence { task: row.task, number: row.number, attempt: row.attempt, claimed_by: row.claimed_by };
        let slot = LiveSlot { number: row.number, loaded: Some(fence), now: Some(row), dirty: false };
        match task.live_at(slot.number) {
            Ok(at) => task.live[at] = slot,
            Err(at) => task.live.insert(at, slot),
        }
    }

    /// Adds what stands in the database of a step that is over, of a task that was loaded.
    pub fn load_over(&mut self, step: StepRef, outcome: StepState, attempt: u32) {
        if let Some(task) = self.tasks.get_mut(step.task) {
            task.put_over(step.number, Over { outcome, attempt });
        }
    }

    /// Adds a batch of a task that was loaded, as it stands in the database.
    pub fn load_batch(&mut self, row: BatchRow) {
        if let Some(task) = self.tasks.get_mut(row.task) {
            task.batches.push((row, false));
        }
    }

    /// The workers that are made after the step, if they were made.
    #[must_use]
    pub fn batch(&self, task: TaskId, of: StepNumber) -> Option<BatchRow> {
        self.batches_of(task).find(|row| row.number == of)
    }

    /// The batches of a task.
    pub fn batches_of(&self, task: TaskId) -> impl Iterator<Item = BatchRow> {
        self.tasks.get(task).into_iter().flat_map(|task| &task.batches).map(|(row, _)| *row)
    }

    /// Tells which lifecycle events somebody subscribes to.
    pub fn load_wanted(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// Whether a command may publish events at all.
    pub(super) fn may_publish(&self) -> bool {
        self.publishes || !self.wanted.is_none()
    }

    /// Takes an event in that a command publishes.
    pub(super) fn publish(&mut self, mode: DeliveryMode, row: EventRow) {
        if mode.is_told_at_once()
            && let Some(pinned) = self.task(row.task).map(|task| task.pinned.clone())
        {
            let step = row.number.map(|number| pinned.name(number)).unwrap_or_default();
            let namespace = pinned.template.namespace.clone();
            self.told.push(ToldEvent { row: row.clone(), is_stored: mode.is_stored(), namespace, step });
        }
        if mode.is_stored() {
            self.events.push(row);
        }
    }

    /// Tells that this action was taken before.
    pub fn load_action(&mut self, id: Uuid) {
        self.taken.insert(id);
    }

    /// Tells that an action of this kind was taken then; of several the last one counts.
    pub fn load_said(&mut self, task: TaskId, at: Timestamp, kind: &str) {
        if let Some(say) = Say::of(kind) {
            let last = self.said.entry(task).or_insert((at, say));
            *last = (*last).max((at, say));
        }
    }

    /// What was said last of the time of a task.
    pub(super) fn said_of(&self, task: TaskId) -> Option<(Timestamp, Say)> {
        self.said.get(&task).copied()
    }

    /// Tells which task the requests of this identity mean.
    pub fn load_identity(&mut self, identity: Identity, task: TaskId, state: TaskState) {
        self.identities.insert(identity, (task, state));
    }

    /// The task that the requests of this identity mean, if there is one.
    #[must_use]
    pub fn meant_by(&self, identity: Identity) -> Option<TaskId> {
        self.identities.get(&identity).map(|(task, _)| *task)
    }

    /// The answer to a command that was carried out.
    pub(super) fn reply(&self, command: &Command) -> Reply {
        let meant = command.identity().and_then(|identity| self.identities.get(&identity).copied());
        let (task, loaded) = meant.unwrap_or((command.task(), TaskState::Pending));
        Reply { task, state: self.task(task).map_or(loaded, |row| row.state) }
    }

    /// Whether the action was taken, before or in this batch.
    #[must_use]
    pub fn was_taken(&self, action: Uuid) -> bool {
        self.taken.contains(&action) || self.actions.iter().any(|row| row.id == action)
    }

    /// The task, if there is one.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&TaskRow> {
        self.tasks.get(id).map(|slot| &slot.row)
    }

    /// The live row of a step, if it has one.
    #[must_use]
    pub fn live(&self, task: TaskId, number: StepNumber) -> Option<&LiveStep> {
        let task = self.tasks.get(task)?;
        task.live.get(task.live_at(number).ok()?)?.now.as_ref()
    }

    /// The live rows of a task, in the order of their numbers.
    pub fn live_of(&self, task: TaskId) -> impl Iterator<Item = &LiveStep> {
        self.tasks.get(task).into_iter().flat_map(|task| &task.live).filter_map(|slot| slot.now.as_ref())
    }

    /// The steps of a task that are over, in the order of their numbers, as far as they were loaded.
    pub fn over_of(&self, task: TaskId) -> impl Iterator<Item = (StepNumber, Over)> {
        self.tasks.get(task).into_iter().flat_map(|task| &task.over).copied()
    }

    /// How the step ended, if it is over.
    #[must_use]
    pub fn over_at(&self, task: TaskId, number: StepNumber) -> Option<Over> {
        let task = self.tasks.get(task)?;
        Some(task.over.get(task.over_at(number).ok()?)?.1)
    }

    /// Whether the step is over.
    #[must_use]
    pub fn is_over(&self, task: TaskId, number: StepNumber) -> bool {
        self.tasks.get(task).is_some_and(|task| task.over_at(number).is_ok())
    }

    /// The steps that became ready in this batch and still are, in order and each once.
    pub(super) fn became_ready(&mut self) -> Vec<StepRef> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_unstable();
        ready.dedup();
        ready.retain(|at| self.live(at.task, at.number).is_some_and(|row| row.state == StepState::Ready));
        ready
    }

    /// Carries a change out.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::NewTask { new, open_steps, at } => {
                let row = TaskRow {
                    id: new.id,
                    pinned: new.pinned.clone(),
                    state: TaskState::Pending,
                    open_steps,
                    runnable: 0,
                    priority: new.priority,
                    created_at: at,
                    started_at: None,
                    finished_at: None,
                };
                if let Some(known) = new.known_by {
                    self.identities.insert(known.identity, (row.id, row.state));
                }
                self.publishes |= row.pinned.publishes();
                self.tasks.insert(TaskSlot::new(row, Some(new)));
            }
            Change::Count { task, open_steps, runnable } => {
                if let Some(slot) = self.tasks.get_mut(task) {
                    slot.row.open_steps = slot.row.open_steps.saturating_add_signed(open_steps);
                    slot.row.runnable = slot.row.runnable.saturating_add_signed(runnable);
                    slot.dirty = true;
                }
            }
            Change::TaskState { task, state, at } => {
                if let Some(slot) = self.tasks.get_mut(task) {
                    slot.row.state = state;
                    slot.row.finished_at = state.is_over().then_some(at);
                    if state == TaskState::Running && slot.row.started_at.is_none() {
                        slot.row.started_at = Some(at);
                    }
                    if state.is_over() {
                        self.finished.push(task);
                    }
                    slot.dirty = true;
                }
            }
            Change::Live(row) => {
                let at = StepRef { task: row.task, number: row.number };
                if row.state == StepState::Ready {
                    self.ready.push(at);
                }
                let Some(task) = self.tasks.get_mut(at.task) else { return };
                match task.live_at(at.number) {
                    Ok(found) => (task.live[found].now, task.live[found].dirty) = (Some(row), true),
                    Err(place) => {
                        let slot = LiveSlot { number: at.number, loaded: None, now: Some(row), dirty: true };
                        task.live.insert(place, slot);
                    }
                }
            }
            Change::Gone { task, number } => {
                let Some(task) = self.tasks.get_mut(task) else { return };
                if let Ok(at) = task.live_at(number) {
                    task.live[at].now = None;
                }
            }
            Change::Result(row) => {
                if let Some(task) = self.tasks.get_mut(row.task) {
                    task.put_over(row.number, Over { outcome: row.outcome, attempt: row.attempt });
                }
                self.results.push(row);
            }
            Change::Reopen { task, number } => {
                if let Some(task) = self.tasks.get_mut(task)
                    && let Ok(at) = task.over_at(number)
                {
                    task.over.remove(at);
                }
                // A result of this very batch never reached the database: it moves in memory.
                match self.results.iter().position(|row| row.task == task && row.number == number) {
                    Some(found) => {
                        let row = self.results.remove(found);
                        self.attempts.push(row.into_reopened());
                    }
                    None => self.reopened.push(Reopened { task, number }),
                }
            }
            Change::Batch(row) => {
                let Some(task) = self.tasks.get_mut(row.task) else { return };
                match task.batches.iter_mut().find(|(found, _)| found.number == row.number) {
                    Some(found) => *found = (row, true),
                    None => task.batches.push((row, true)),
                }
            }
            Change::Checkpoint(row) => {
                // A step saves more than once in a batch only where nobody waited for the first one.
                match self.checkpoints.iter_mut().find(|kept| (kept.task, kept.number) == (row.task, row.number)) {
                    Some(kept) => *kept = row,
                    None => self.checkpoints.push(row),
                }
            }
            Change::Copy { task, source, steps } => {
                let over = |number: &StepNumber| self.over_at(source, *number).map(|over| (*number, over));
                let steps: Vec<(StepNumber, Over)> = steps.iter().filter_map(over).collect();
                if let Some(slot) = self.tasks.get_mut(task) {
                    steps.iter().for_each(|&(number, over)| slot.put_over(number, over));
                }
                self.copied.push(Copied { task, source, steps });
            }
            Change::Rerun(row) => self.reruns.push(row),
            Change::Attempt(row) => self.attempts.push(row),
            Change::Action(row) => {
                self.load_said(row.task, row.at, row.kind);
                self.actions.push(row);
            }
        }
    }
}

impl TaskSlot {
    fn new(row: TaskRow, new: Option<Box<NewTask>>) -> Self {
        Self { row, dirty: new.is_some(), new, live: Vec::new(), over: Vec::new(), batches: Vec::new() }
    }

    fn live_at(&self, number: StepNumber) -> Result<usize, usize> {
        self.live.binary_search_by_key(&number, |slot| slot.number)
    }

    fn over_at(&self, number: StepNumber) -> Result<usize, usize> {
        self.over.binary_search_by_key(&number, |over| over.0)
    }

    fn put_over(&mut self, number: StepNumber, over: Over) {
        match self.over_at(number) {
            Ok(at) => self.over[at] = (number, over),
            Err(at) => self.over.insert(at, (number, over)),
        }
    }
}
