//! The smallest changes of rows that core decides.

use tasker_types::{StepNumber, TaskId, TaskState, Timestamp};

use super::{ActionRow, AttemptRow, BatchRow, CheckpointRow, LiveStep, NewTask, RerunRow, ResultRow};

/// A change of a row.
#[derive(Debug, Clone)]
pub enum Change {
    /// A task appears.
    NewTask {
        /// What was submitted.
        new: Box<NewTask>,
        /// Its steps.
        open_steps: u32,
        /// When.
        at: Timestamp,
    },
    /// The task's counters move by these.
    Count {
        /// The task.
        task: TaskId,
        /// `open_steps`
        open_steps: i32,
        /// `runnable`
        runnable: i32,
    },
    /// The task's state changes.
    TaskState {
        /// The task.
        task: TaskId,
        /// The new state.
        state: TaskState,
        /// When.
        at: Timestamp,
    },
    /// The step's live row is now this one.
    Live(LiveStep),
    /// The step has no live row any more.
    Gone {
        /// The task.
        task: TaskId,
        /// The step.
        number: StepNumber,
    },
    /// The step is over.
    Result(ResultRow),
    /// The step is not over any more: its result moves to the attempts.
    Reopen {
        /// The task.
        task: TaskId,
        /// The step.
        number: StepNumber,
    },
    /// The batch is now this one.
    Batch(BatchRow),
    /// An attempt ended without ending its step.
    Attempt(AttemptRow),
    /// A running step has come this far.
    Checkpoint(CheckpointRow),
    /// The task begins with results of another one, as they stand there.
    Copy {
        /// The task.
        task: TaskId,
        /// The task that has them.
        source: TaskId,
        /// The steps, in the order of their numbers.
        steps: Vec<StepNumber>,
    },
    /// The task runs another one again.
    Rerun(RerunRow),
    /// An operator acted.
    Action(ActionRow),
}
