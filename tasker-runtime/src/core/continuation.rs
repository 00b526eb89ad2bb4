//! Which steps that just became ready this worker takes on in the same transaction.

use std::sync::Arc;

use tasker_types::{StepState, TaskState, Timestamp, WorkerId};

use super::{Change, Claimed, LiveStep, QueueId, Snapshot, StepRef};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

/// Every this many-th slot is left to the global claim while others wait.
const GLOBAL_EVERY: u64 = 8;

/// What the worker of this process can take on.
#[derive(Debug, Clone)]
pub struct Capacity {
    /// The worker.
    pub worker: WorkerId,
    /// Slots that are free, counting those that this batch frees.
    pub free: usize,
    /// The queues whose handlers it has; sorted.
    pub queues: Arc<[QueueId]>,
    /// How many successors were considered for its slots so far, the sum of what its batches told: decides which slot
    /// is left to the global claim.
    pub continued: u64,
}

/// What else waits to be claimed by this worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The highest priority among steps that were ready before this batch.
    pub top_priority: Option<i16>,
}

/// What a worker takes on.
#[derive(Debug, Default)]
pub(super) struct Continued {
    pub(super) claimed: Vec<Claimed>,
    pub(super) considered: u64,
    /// How many of the steps that became ready were not claimed.
    pub(super) left: usize,
}

/// Claims steps that became ready in this batch: never ahead of a higher priority, never more than the free slots.
pub(super) fn continue_successors(
    snapshot: &mut Snapshot,
    capacity: &Capacity,
    backlog: Backlog,
    now: Timestamp,
) -> Continued {
    let became_ready = snapshot.became_ready();
    let mut ready: Vec<(i16, StepRef)> = became_ready
        .iter()
        .filter_map(|&at| snapshot.live(at.task, at.number).map(|row| (row, at)))
        .filter(|(row, _)| row.losses == 0 && !row.held && row.ready_at <= now)
        .filter(|(row, _)| capacity.queues.binary_search(&row.queue).is_ok())
        .map(|(row, at)| (row.priority, at))
        .collect();
    ready.sort_unstable_by_key(|&(priority, at)| (std::cmp::Reverse(priority), at));

    let claimed = Vec::with_capacity(ready.len().min(capacity.free));
    let mut continued = Continued { claimed, ..Continued::default() };
    for (priority, at) in ready.into_iter().take(capacity.free) {
        if backlog.top_priority.is_some_and(|top| top > priority) && !planted(Bug::ContinuationJumpsQueue) {
            mark(Mark::ContinuationBehindPriority);
            break;
        }
        continued.considered += 1;
        let left = capacity.continued.wrapping_add(continued.considered).is_multiple_of(GLOBAL_EVERY);
        // A slot that is left stays free: the worker's next claim fills it with what comes first of all.
        if left && backlog.top_priority.is_some() {
            mark(Mark::SlotLeftToClaim);
            continue;
        }
        continued.claimed.extend(claim(snapshot, at, capacity.worker, now));
    }
    continued.left = became_ready.len() - continued.claimed.len();
    continued
}

fn claim(snapshot: &mut Snapshot, at: StepRef, worker: WorkerId, now: Timestamp) -> Option<Claimed> {
    let task = snapshot.task(at.task)?;
    if !matches!(task.state, TaskState::Pending | TaskState::Running) && !planted(Bug::ContinuationIgnoresPause) {
        return None;
    }
    let (pinned, starts) = (task.pinned.clone(), task.state == TaskState::Pending);
    let row = snapshot.live(at.task, at.number)?;
    let live = LiveStep {
        state: StepState::Running,
        attempt: next_attempt(row),
        claimed_by: Some(worker),
        claimed_at: Some(now),
        ..row.clone()
    };
    snapshot.apply(Change::Live(live.clone()));
    if starts {
        snapshot.apply(Change::TaskState { task: at.task, state: TaskState::Running, at: now });
    }
    Some(Claimed { task: at.task, pinned, live })
}

/// The number of the attempt that a claim of this step begins.
pub(crate) fn next_attempt(row: &LiveStep) -> u32 {
    row.attempt + u32::from(row.attempt == 0 || !planted(Bug::AttemptCountedAtFailure))
}
