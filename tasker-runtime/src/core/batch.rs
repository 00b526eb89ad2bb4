//! A batch of commands: what it needs to read, and what it writes.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tasker_types::{FailureStrategy, StepNumber, StepState, TaskId, TaskState, Timestamp, WorkerId};
use uuid::Uuid;

use super::continuation::{Continued, continue_successors};
use super::decide::decide;
use super::event::{EventRow, ToldEvent, published};
use super::row::AttemptOutcome;
use super::snapshot::Over;
use super::{
    Act, ActionRow, AttemptRow, Backlog, BatchRow, Capacity, Checkpoint, CheckpointRow, Claimed, Command, Finish,
    Identity, IdentityRow, LiveStep, NewTask, Outcome, Pinned, Refusal, RerunRow, ResultRow, Snapshot, StepRef,
    TaskRow,
};
use crate::plant::{Bug, planted};

/// Commands that are decided and written together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// In the order in which they are decided.
    pub commands: Arc<[Command]>,
    /// What the worker of this process can take on, if it runs one.
    pub capacity: Option<Capacity>,
    /// The time, or `None` for the database's own.
    pub now: Option<Timestamp>,
}

/// Which rows a batch reads of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// Only whether the task exists.
    Task,
    /// This step, live or over, and its successors.
    Step(StepNumber),
    /// Every row that the task has.
    Everything,
}

/// What a command that was carried out tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The task.
    pub task: TaskId,
    /// The state that it has now.
    pub state: TaskState,
}

/// What a batch writes. Every list is in (task, number) order or in that of the commands.
#[derive(Debug, Default)]
pub struct Writes {
    /// Tasks that appear, with what they were submitted with.
    pub new_tasks: Vec<(TaskRow, Box<NewTask>)>,
    /// Tasks that change: state, counters and times.
    pub tasks: Vec<TaskRow>,
    /// Live rows that appear.
    pub live_inserts: Vec<LiveStep>,
    /// Live rows that change, each with the attempt and the worker that it was loaded with.
    pub live_updates: Vec<(LiveStep, Fence)>,
    /// Live rows that go, with their fence.
    pub live_deletes: Vec<Fence>,
    /// Results that move to the attempts; before the new results.
    pub reopened: Vec<Reopened>,
    /// Steps that are over.
    pub results: Vec<ResultRow>,
    /// Batches that appear or change.
    pub batches: Vec<BatchRow>,
    /// Attempts that did not end their step.
    pub attempts: Vec<AttemptRow>,
    /// What operators did.
    pub actions: Vec<ActionRow>,
    /// How far running steps have come: one a step, in the place of the one before.
    pub checkpoints: Vec<CheckpointRow>,
    /// Results that a task takes over from another one; after the new results, which may be among them.
    pub copied: Vec<Copied>,
    /// Which tasks run others again.
    pub reruns: Vec<RerunRow>,
    /// Events that are stored, in the order in which they were published.
    pub events: Vec<EventRow>,
    /// Events that are told at once in this process.
    pub told: Vec<ToldEvent>,
    /// One answer a command, in their order.
    pub replies: Vec<Result<Reply, Refusal>>,
    /// Steps that this worker may now run.
    pub claimed: Vec<Claimed>,
    /// Steps that became ready and were not claimed.
    pub ready: usize,
    /// How many successors were considered for a free slot: see [`Capacity::continued`].
    pub considered: u64,
    /// Tasks that ended, each once.
    pub finished: Vec<Reply>,
}

impl Writes {
    /// Which identities appear, with their tasks, sorted.
    #[must_use]
    pub fn identities(&self) -> Vec<IdentityRow> {
        let row =
            |(row, new): &(TaskRow, Box<NewTask>)| Some(IdentityRow { identity: new.known_by?.identity, task: row.id });
        let mut rows: Vec<IdentityRow> = self.new_tasks.iter().filter_map(row).collect();
        rows.sort_unstable_by_key(|row| row.identity);
        rows
    }

    /// The new tasks whose requests bound how long a claim may be held, with those times.
    #[must_use]
    pub fn claim_timeouts(&self) -> Vec<(TaskId, Duration)> {
        self.new_tasks.iter().filter_map(|(row, new)| Some((row.id, new.input.claim_timeout?))).collect()
    }

    /// Whether all that is written is what nearly every batch writes: tasks, live rows that come and go, results.
    #[must_use]
    pub fn is_common(&self) -> bool {
        // Field by field, so that whoever adds one comes by here.
        let Self {
            new_tasks,
            tasks: _,
            live_inserts: _,
            live_updates,
            live_deletes: _,
            reopened,
            results: _,
            batches,
            attempts,
            actions,
            checkpoints,
            copied,
            reruns,
            events,
            told: _,
            replies: _,
            claimed: _,
            ready: _,
            considered: _,
            finished: _,
        } = self;
        new_tasks.iter().all(|(_, new)| new.known_by.is_none() && new.input.claim_timeout.is_none())
            && live_updates.is_empty()
            && reopened.is_empty()
            && batches.is_empty()
            && attempts.is_empty()
            && actions.is_empty()
            && checkpoints.is_empty()
            && copied.is_empty()
            && reruns.is_empty()
            && events.is_empty()
    }

    /// When the first of the steps that wait for a retry will be ready, as far as this batch wrote them.
    #[must_use]
    pub fn next_retry(&self) -> Option<Timestamp> {
        let rows = self.live_inserts.iter().chain(self.live_updates.iter().map(|(row, _)| row));
        rows.filter(|row| row.state == StepState::WaitingForRetry).map(|row| row.ready_at).min()
    }
}

/// The key of a live row with its fence: the write happens only where these still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The task.
    pub task: TaskId,
    /// The step.
    pub number: StepNumber,
    /// The attempt that was loaded.
    pub attempt: u32,
    /// The worker that was loaded.
    pub claimed_by: Option<WorkerId>,
}

/// The key of a result that moves to the attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reopened {
    /// The task.
    pub task: TaskId,
    /// The step.
    pub number: StepNumber,
}

/// Results that a task takes over from another one, as they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The task.
    pub task: TaskId,
    /// The task that has them.
    pub source: TaskId,
    /// The steps, each with its outcome, in the order of their numbers.
    pub steps: Vec<(StepNumber, Over)>,
}

impl ResultRow {
    /// The attempt row that a result becomes when an operator reopens its step.
    #[must_use]
    pub fn into_reopened(self) -> AttemptRow {
        AttemptRow {
            task: self.task,
            number: self.number,
            attempt: self.attempt,
            outcome: AttemptOutcome::Reopened,
            worker: self.worker,
            ready_at: self.ready_at,
            claimed_at: self.claimed_at,
            finished_at: self.finished_at,
            retry_at: None,
            detail: self.detail,
        }
    }
}

impl Command {
    /// Which rows of its task the command reads.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self {
            Self::Submit(_) | Self::Rerun(_) => Needs::Task,
            Self::Finish(Finish { step, .. })
            | Self::Checkpoint(Checkpoint { step, .. })
            | Self::Lose { step, .. }
            | Self::Release { step, .. } => Needs::Step(step.number),
            Self::Act { .. } => Needs::Everything,
        }
    }

    /// Whether the command may cancel what else waits of a batch: then all of it is loaded.
    fn may_end_batch(&self, pinned: &Pinned, number: StepNumber) -> bool {
        let fails = match self {
            Self::Finish(finish) => matches!(finish.outcome, Outcome::Failed(_) | Outcome::Cancelled),
            Self::Lose { .. } => true,
            _ => false,
        };
        fails && pinned.failure_strategy(number) == Some(FailureStrategy::FailFast)
    }

    /// The steps after `number` that the command may change with it.
    fn reaches<'p>(&self, pinned: &'p Pinned, number: StepNumber) -> Cow<'p, [StepNumber]> {
        match self {
            Self::Finish(Finish { outcome: Outcome::Decided { .. }, .. }) => pinned.graph().descendants(number).into(),
            Self::Finish(Finish { outcome: Outcome::Cut { .. }, .. }) => {
                let children = pinned.children(number).iter().copied();
                children.flat_map(|child| pinned.children(child).iter().copied().chain([child])).collect()
            }
            Self::Finish(_) => pinned.children(number).into(),
            Self::Lose { .. } if pinned.is_skipped_over(number) => pinned.children(number).into(),
            _ => Cow::default(),
        }
    }
}

impl Batch {
    /// The tasks that it concerns, each once, in the order of their ids: the order in which rows are locked.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskId> {
        ids(self.commands.iter())
    }

    /// Those that it does more with than to submit them.
    #[must_use]
    pub fn known_tasks(&self) -> Vec<TaskId> {
        ids(self.commands.iter().filter(|command| !matches!(command, Command::Submit(_))))
    }

    /// The actions that it takes, in order and each once: those that were taken before are loaded.
    #[must_use]
    pub fn actions(&self) -> Vec<Uuid> {
        let mut ids: Vec<Uuid> = self.commands.iter().filter_map(Command::action).map(|action| action.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The tasks that it ends if their time is over, in order and each once: what was said of them is loaded.
    #[must_use]
    pub fn expiring(&self) -> Vec<TaskId> {
        let expires = |command: &&Command| matches!(command, Command::Act { act: Act::Expire { .. }, .. });
        let mut tasks: Vec<TaskId> = self.commands.iter().filter(expires).map(Command::task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        tasks
    }

    /// The identities of its requests, in order and each once: the tasks that they mean are loaded, and nobody else may make
    /// one of them meanwhile.
    #[must_use]
    pub fn identities(&self) -> Vec<Identity> {
        let mut identities: Vec<Identity> = self.commands.iter().filter_map(Command::identity).collect();
        identities.sort_unstable();
        identities.dedup();
        identities
    }

    /// The steps to load once the tasks' templates are known, in order and each once, and the tasks of which everything is loaded.
    pub fn steps<'p>(&self, pinned: impl Fn(TaskId) -> Option<&'p Pinned>) -> (Vec<StepRef>, Vec<TaskId>) {
        let mut steps = Vec::with_capacity(self.commands.len() * 2);
        let mut whole = Vec::new();
        for command in self.commands.iter() {
            let task = command.task();
            whole.extend(command.source());
            match command.needs() {
                Needs::Task => {}
                Needs::Everything => whole.push(task),
                Needs::Step(number) => {
                    let Some(pinned) = pinned(task).filter(|pinned| pinned.has(number)) else { continue };
                    steps.push(StepRef { task, number });
                    if command.may_end_batch(pinned, number) {
                        whole.push(task);
                    }
                    steps.extend(command.reaches(pinned, number).iter().map(|&number| StepRef { task, number }));
                }
            }
        }
        steps.sort_unstable();
        steps.dedup();
        whole.sort_unstable();
        whole.dedup();
        (steps, whole)
    }
}

fn ids<'c>(commands: impl Iterator<Item = &'c Command>) -> Vec<TaskId> {
    let mut ids = Vec::new();
    for command in commands {
        ids.push(command.task());
        ids.extend(command.source());
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Decides every command in order on what the ones before it left, then claims successors for this worker where its
/// lease lasts.
#[must_use]
pub fn fold(
    mut snapshot: Snapshot,
    commands: &[Command],
    capacity: Option<(&Capacity, Backlog)>,
    now: Timestamp,
) -> Writes {
    let mut replies = Vec::with_capacity(commands.len());
    let old_rows = || commands.iter().map(|command| decide(&snapshot, command, now)).collect::<Vec<_>>();
    let mut early = planted(Bug::DecidedOnOldRows).then(old_rows).into_iter().flatten();
    for command in commands {
        let decided = early.next().unwrap_or_else(|| decide(&snapshot, command, now));
        let reply = decided.map(|changes| {
            if snapshot.may_publish() {
                for (mode, row) in published(&snapshot, command, &changes, now) {
                    snapshot.publish(mode, row);
                }
            }
            for change in changes {
                snapshot.apply(change);
            }
            snapshot.reply(command)
        });
        replies.push(reply);
    }
    let continued = match capacity {
        Some((capacity, backlog)) => continue_successors(&mut snapshot, capacity, backlog, now),
        None => Continued::default(),
    };
    collect(snapshot, replies, continued)
}

fn collect(mut snapshot: Snapshot, replies: Vec<Result<Reply, Refusal>>, continued: Continued) -> Writes {
    let ready = snapshot.became_ready().len() + continued.left;
    let tasks = snapshot.tasks.len();
    let mut writes = Writes {
        replies,
        claimed: continued.claimed,
        considered: continued.considered,
        ready,
        live_deletes: Vec::with_capacity(tasks),
        live_inserts: Vec::with_capacity(tasks),
        tasks: Vec::with_capacity(tasks),
        ..Writes::default()
    };
    let mut finished = std::mem::take(&mut snapshot.finished);
    finished.sort_unstable();
    finished.dedup();
    writes.finished = finished
        .into_iter()
        .filter_map(|task| snapshot.task(task).map(|row| Reply { task, state: row.state }))
        .filter(|reply| reply.state.is_over())
        .collect();
    for slot in snapshot.tasks.into_ordered() {
        for live in slot.live {
            match (live.loaded, live.now) {
                (None, Some(row)) => writes.live_inserts.push(row),
                (Some(fence), Some(row)) if live.dirty => writes.live_updates.push((row, fence)),
                (Some(fence), None) => writes.live_deletes.push(fence),
                _ => {}
            }
        }
        writes.batches.extend(slot.batches.into_iter().filter(|(_, dirty)| *dirty).map(|(row, _)| row));
        match slot.new {
            Some(new) => writes.new_tasks.push((slot.row, new)),
            None if slot.dirty => writes.tasks.push(slot.row),
            None => {}
        }
    }
    writes.reopened = snapshot.reopened;
    writes.results = snapshot.results;
    writes.attempts = snapshot.attempts;
    writes.actions = snapshot.actions;
    writes.checkpoints = snapshot.checkpoints;
    writes.copied = snapshot.copied;
    writes.reruns = snapshot.reruns;
    writes.events = snapshot.events;
    writes.told = snapshot.told;
    writes
}
