//! The rows that a batch of commands may read and change, and what became of them.

use std::collections::{BTreeMap, BTreeSet};

use tasker_types::{StepNumber, StepState, TaskId, TaskState};
use uuid::Uuid;

use super::batch::{Fence, Reopened};
use super::{ActionRow, AttemptRow, Change, LiveStep, NewTask, ResultRow, StepRef, TaskRow};

/// The rows that a batch of commands may read and change.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) tasks: BTreeMap<TaskId, TaskSlot>,
    pub(super) live: BTreeMap<StepRef, LiveSlot>,
    /// Steps that are over, with their outcome.
    pub(super) over: BTreeMap<StepRef, Over>,
    pub(super) results: Vec<ResultRow>,
    pub(super) reopened: Vec<Reopened>,
    pub(super) attempts: Vec<AttemptRow>,
    pub(super) actions: Vec<ActionRow>,
    /// Actions of the batch that were taken in an earlier one.
    pub(super) taken: BTreeSet<Uuid>,
    pub(super) became_ready: BTreeSet<StepRef>,
    pub(super) finished: BTreeSet<TaskId>,
}

#[derive(Debug)]
pub(super) struct TaskSlot {
    pub(super) row: TaskRow,
    pub(super) new: Option<Box<NewTask>>,
    pub(super) dirty: bool,
}

#[derive(Debug, Default)]
pub(super) struct LiveSlot {
    pub(super) loaded: Option<LiveStep>,
    pub(super) now: Option<LiveStep>,
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
    /// Adds a task as it stands in the database.
    pub fn load_task(&mut self, row: TaskRow) {
        self.tasks.insert(row.id, TaskSlot { row, new: None, dirty: false });
    }

    /// Adds a live row as it stands in the database.
    pub fn load_live(&mut self, row: LiveStep) {
        let at = StepRef { task: row.task, number: row.number };
        self.live.insert(at, LiveSlot { loaded: Some(row.clone()), now: Some(row) });
    }

    /// Adds what stands in the database of a step that is over.
    pub fn load_over(&mut self, step: StepRef, outcome: StepState, attempt: u32) {
        self.over.insert(step, Over { outcome, attempt });
    }

    /// Tells that this action was taken before.
    pub fn load_action(&mut self, id: Uuid) {
        self.taken.insert(id);
    }

    /// Whether the action was taken, before or in this batch.
    #[must_use]
    pub fn was_taken(&self, action: Uuid) -> bool {
        self.taken.contains(&action) || self.actions.iter().any(|row| row.id == action)
    }

    /// The task, if there is one.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&TaskRow> {
        self.tasks.get(&id).map(|slot| &slot.row)
    }

    /// The live row of a step, if it has one.
    #[must_use]
    pub fn live(&self, task: TaskId, number: StepNumber) -> Option<&LiveStep> {
        self.live.get(&StepRef { task, number }).and_then(|slot| slot.now.as_ref())
    }

    /// The live rows of a task, in the order of their numbers.
    pub fn live_of(&self, task: TaskId) -> impl Iterator<Item = &LiveStep> {
        let from = StepRef { task, number: StepNumber(0) };
        self.live.range(from..).take_while(move |(at, _)| at.task == task).filter_map(|(_, slot)| slot.now.as_ref())
    }

    /// The steps of a task that are over, in the order of their numbers, as far as they were loaded.
    pub fn over_of(&self, task: TaskId) -> impl Iterator<Item = (StepNumber, Over)> {
        let from = StepRef { task, number: StepNumber(0) };
        self.over.range(from..).take_while(move |(at, _)| at.task == task).map(|(at, over)| (at.number, *over))
    }

    /// Whether the step is over.
    #[must_use]
    pub fn is_over(&self, task: TaskId, number: StepNumber) -> bool {
        self.over.contains_key(&StepRef { task, number })
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
                self.tasks.insert(new.id, TaskSlot { row, new: Some(new), dirty: true });
            }
            Change::Count { task, open_steps, runnable } => {
                if let Some(slot) = self.tasks.get_mut(&task) {
                    slot.row.open_steps = slot.row.open_steps.saturating_add_signed(open_steps);
                    slot.row.runnable = slot.row.runnable.saturating_add_signed(runnable);
                    slot.dirty = true;
                }
            }
            Change::TaskState { task, state, at } => {
                if let Some(slot) = self.tasks.get_mut(&task) {
                    slot.row.state = state;
                    slot.row.finished_at = state.is_over().then_some(at);
                    if state == TaskState::Running && slot.row.started_at.is_none() {
                        slot.row.started_at = Some(at);
                    }
                    if state.is_over() {
                        self.finished.insert(task);
                    }
                    slot.dirty = true;
                }
            }
            Change::Live(row) => {
                let at = StepRef { task: row.task, number: row.number };
                if row.state == StepState::Ready {
                    self.became_ready.insert(at);
                } else {
                    self.became_ready.remove(&at);
                }
                self.live.entry(at).or_default().now = Some(row);
            }
            Change::Gone { task, number } => {
                let at = StepRef { task, number };
                self.became_ready.remove(&at);
                if let Some(slot) = self.live.get_mut(&at) {
                    slot.now = None;
                }
            }
            Change::Result(row) => {
                let at = StepRef { task: row.task, number: row.number };
                self.over.insert(at, Over { outcome: row.outcome, attempt: row.attempt });
                self.results.push(row);
            }
            Change::Reopen { task, number } => {
                let at = StepRef { task, number };
                self.over.remove(&at);
                // A result of this very batch never reached the database: it moves in memory.
                match self.results.iter().position(|row| row.task == task && row.number == number) {
                    Some(found) => {
                        let row = self.results.remove(found);
                        self.attempts.push(row.into_reopened());
                    }
                    None => self.reopened.push(Reopened { task, number }),
                }
            }
            Change::Attempt(row) => self.attempts.push(row),
            Change::Action(row) => self.actions.push(row),
        }
    }

    pub(super) fn deletes(&self) -> Vec<Fence> {
        self.live
            .values()
            .filter_map(|slot| match (&slot.loaded, &slot.now) {
                (Some(row), None) => {
                    Some(Fence { task: row.task, number: row.number, attempt: row.attempt, claimed_by: row.claimed_by })
                }
                _ => None,
            })
            .collect()
    }
}
