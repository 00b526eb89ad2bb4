//! What the writer itself wrote of the tasks that it runs: good until another connection writes.
//!
//! A completion reads rows that this very connection wrote a moment ago. They are kept here and used as long as
//! `PRAGMA data_version`, read under the write lock, says that nobody else has written since.

use tasker_types::{StepNumber, StepState, TaskId, Wanted};

use crate::by_id::ById;
use crate::core::{LiveStep, Pinned, Snapshot, StepRef, TaskRow, Writes};
use crate::store::StoreError;

/// The most steps that a task may have to be kept: it is copied as a whole.
const STEPS_MAX: usize = 256;
/// The most rows that are kept; beyond it everything is dropped.
const ROWS_MAX: usize = 65_536;

/// Whether tasks of this template are kept: it is small, and has no steps that are made later.
pub(super) fn is_kept(pinned: &Pinned) -> bool {
    pinned.steps.len() <= STEPS_MAX && !pinned.has_batches()
}

/// Tasks of which a step runs here, as they stand in the database.
#[derive(Debug, Default)]
pub(super) struct Cache {
    version: i64,
    tasks: ById<Kept>,
    rows: usize,
    /// Which lifecycle events somebody subscribes to, once that was read.
    wanted: Option<Wanted>,
}

/// Steps by their number, without room for more: most tasks have one live step.
#[derive(Debug)]
struct Kept {
    row: TaskRow,
    live: Vec<LiveStep>,
    over: Vec<(StepNumber, StepState, u32)>,
}

impl Kept {
    fn rows(&self) -> usize {
        1 + self.live.len() + self.over.len()
    }

    fn is_running(&self) -> bool {
        !self.row.state.is_over() && self.live.iter().any(|row| row.state == StepState::Running)
    }

    fn live(&self, number: StepNumber) -> Result<usize, usize> {
        self.live.binary_search_by_key(&number, |row| row.number)
    }

    fn over(&self, number: StepNumber) -> Result<usize, usize> {
        self.over.binary_search_by_key(&number, |row| row.0)
    }

    fn put_live(&mut self, row: LiveStep) {
        match self.live(row.number) {
            Ok(at) => self.live[at] = row,
            Err(at) => {
                self.live.reserve_exact(1);
                self.live.insert(at, row);
            }
        }
    }

    fn put_over(&mut self, number: StepNumber, outcome: StepState, attempt: u32) {
        match self.over(number) {
            Ok(at) => self.over[at] = (number, outcome, attempt),
            Err(at) => self.over.insert(at, (number, outcome, attempt)),
        }
    }
}

impl Cache {
    /// Drops everything where another connection has written since the last call.
    pub(super) fn validate(&mut self, version: i64) {
        if self.version != version {
            self.clear();
            self.version = version;
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.tasks.clear();
        self.rows = 0;
        self.wanted = None;
    }

    /// Which lifecycle events somebody subscribes to.
    pub(super) fn wanted(&mut self, read: impl FnOnce() -> Result<Wanted, StoreError>) -> Result<Wanted, StoreError> {
        if let Some(wanted) = self.wanted {
            return Ok(wanted);
        }
        let wanted = read()?;
        self.wanted = Some(wanted);
        Ok(wanted)
    }

    /// Whether the task is kept: then all its rows are known.
    pub(super) fn has(&self, task: TaskId) -> bool {
        self.tasks.get(task).is_some()
    }

    /// Puts the task itself into a snapshot.
    pub(super) fn load_task(&self, task: TaskId, snapshot: &mut Snapshot) {
        if let Some(kept) = self.tasks.get(task) {
            snapshot.load_task(kept.row.clone());
        }
    }

    /// Puts a step into a snapshot, wherever it stands.
    pub(super) fn load_step(&self, step: StepRef, snapshot: &mut Snapshot) {
        let Some(kept) = self.tasks.get(step.task) else { return };
        if let Ok(at) = kept.live(step.number) {
            snapshot.load_live(kept.live[at].clone());
        } else if let Ok(at) = kept.over(step.number) {
            let (_, outcome, attempt) = kept.over[at];
            snapshot.load_over(step, outcome, attempt);
        }
    }

    /// Puts every row of a task into a snapshot.
    pub(super) fn load_all(&self, task: TaskId, snapshot: &mut Snapshot) {
        let Some(kept) = self.tasks.get(task) else { return };
        kept.live.iter().for_each(|row| snapshot.load_live(row.clone()));
        for &(number, outcome, attempt) in &kept.over {
            snapshot.load_over(StepRef { task, number }, outcome, attempt);
        }
    }

    /// Keeps a task that was read as a whole.
    pub(super) fn keep(&mut self, row: TaskRow, mut live: Vec<LiveStep>, mut over: Vec<(StepNumber, StepState, u32)>) {
        live.sort_unstable_by_key(|row| row.number);
        over.sort_unstable_by_key(|row| row.0);
        self.forget(row.id);
        let kept = Kept { row, live, over };
        self.rows += kept.rows();
        self.tasks.insert(kept.row.id, kept);
    }

    /// Takes in what was just committed. Tasks of which nothing runs here any more are let go.
    pub(super) fn written(&mut self, writes: &Writes) {
        for (row, _) in &writes.new_tasks {
            if is_kept(&row.pinned) {
                self.keep(row.clone(), Vec::new(), Vec::new());
            }
        }
        for row in &writes.tasks {
            self.change(row.id, |kept| kept.row.set_to(row));
        }
        for gone in &writes.live_deletes {
            self.change(gone.task, |kept| _ = kept.live(gone.number).map(|at| kept.live.remove(at)));
        }
        for row in writes.live_inserts.iter().chain(writes.live_updates.iter().map(|(row, _)| row)) {
            self.change(row.task, |kept| kept.put_live(row.clone()));
        }
        for moved in &writes.reopened {
            self.change(moved.task, |kept| _ = kept.over(moved.number).map(|at| kept.over.remove(at)));
        }
        for row in &writes.results {
            self.change(row.task, |kept| kept.put_over(row.number, row.outcome, row.attempt));
        }
        for copied in &writes.copied {
            let over = copied.steps.iter().map(|&(number, over)| (number, over.outcome, over.attempt));
            self.change(copied.task, |kept| over.for_each(|(number, outcome, at)| kept.put_over(number, outcome, at)));
        }
        let touched = writes.new_tasks.iter().map(|(row, _)| row).chain(&writes.tasks).map(|row| row.id);
        for id in touched {
            if self.tasks.get(id).is_some_and(|kept| !kept.is_running()) {
                self.forget(id);
            }
        }
        if self.rows > ROWS_MAX {
            self.clear();
        }
    }

    fn change(&mut self, task: TaskId, change: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.tasks.get_mut(task) {
            let before = kept.rows();
            change(kept);
            self.rows = (self.rows + kept.rows()).saturating_sub(before);
        }
    }

    /// Lets a task go whose rows are changed past this cache.
    pub(super) fn forget(&mut self, task: TaskId) {
        if let Some(kept) = self.tasks.remove(task) {
            self.rows = self.rows.saturating_sub(kept.rows());
        }
    }
}
