//! What the end of a step means for the steps after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tasker_types::{StepNumber, StepState, TaskState, Timestamp};

use super::super::row::Cause;
use super::super::{Change, LiveStep, ResultRow, Snapshot, TaskRow};
use crate::plant::{Bug, planted};

/// What the end of a step does to the counters of its task, beside the step's own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spread {
    /// How many steps became ready.
    pub(super) ready: i32,
    /// How many open steps there are less: those that were skipped, and workers that were made count against them.
    pub(super) closed: i32,
}

impl std::ops::AddAssign for Spread {
    fn add_assign(&mut self, other: Self) {
        self.ready += other.ready;
        self.closed += other.closed;
    }
}

/// One more parent of each of its children is satisfied: none of them is skipped.
pub(super) fn satisfy(
    snapshot: &Snapshot,
    task: &TaskRow,
    parent: StepNumber,
    now: Timestamp,
    changes: &mut Vec<Change>,
) -> Spread {
    let mut spread = Spread::default();
    for &child in task.pinned.children(parent) {
        if snapshot.is_over(task.id, child) && !planted(Bug::SkippedInsertedAgain) {
            continue;
        }
        let mut row = row_of(snapshot, task, child, now);
        decided(&mut row, true, task, now);
        spread.ready += i32::from(row.state == StepState::Ready);
        changes.push(Change::Live(row));
    }
    spread
}

/// A decision chose these of its children. The others are skipped, and with them what only they lead to: a standard step
/// with any skipped parent, a convergence with nothing but skipped ones.
pub(super) fn choose(
    snapshot: &Snapshot,
    task: &TaskRow,
    decision: StepNumber,
    chosen: &[StepNumber],
    now: Timestamp,
    changes: &mut Vec<Change>,
) -> Spread {
    let graph = task.pinned.graph();
    let mut rows: BTreeMap<StepNumber, LiveStep> = BTreeMap::new();
    let mut skipped: BTreeSet<StepNumber> = BTreeSet::new();
    let joins = |step: StepNumber| task.pinned.step(step).joins();
    // Each edge is followed once: a step is decided once.
    let mut edges: VecDeque<(StepNumber, bool)> = graph
        .children(decision)
        .iter()
        // A convergence is no branch: to it the decision is a parent like any other.
        .map(|&child| (child, chosen.binary_search(&child).is_ok() || joins(child)))
        .collect();
    while let Some((child, is_satisfied)) = edges.pop_front() {
        if snapshot.is_over(task.id, child) || skipped.contains(&child) {
            continue;
        }
        let row = rows.entry(child).or_insert_with(|| row_of(snapshot, task, child, now));
        if is_satisfied || !planted(Bug::SkippedNeverCounts) {
            decided(row, is_satisfied, task, now);
        }
        let skip = if joins(child) { row.unmet == 0 && !row.met } else { !is_satisfied };
        if skip {
            rows.remove(&child);
            skipped.insert(child);
            edges.extend(graph.children(child).iter().map(|&next| (next, false)));
        }
    }
    let ready = rows.values().filter(|row| row.state == StepState::Ready).count();
    for &number in &skipped {
        if snapshot.live(task.id, number).is_some() {
            changes.push(Change::Gone { task: task.id, number });
        }
        changes.push(Change::Result(skipped_row(task, number, now)));
    }
    changes.extend(rows.into_values().map(Change::Live));
    Spread { ready: count(ready), closed: count(skipped.len()) }
}

fn count(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

/// How the step stands; one that nobody has touched yet waits for all its parents.
pub(super) fn row_of(snapshot: &Snapshot, task: &TaskRow, step: StepNumber, now: Timestamp) -> LiveStep {
    snapshot.live(task.id, step).cloned().unwrap_or_else(|| LiveStep {
        state: StepState::Pending,
        unmet: task.pinned.parent_count(step),
        met: false,
        ..LiveStep::ready(task.id, &task.pinned, step, task.priority, now)
    })
}

/// One more parent of the step is decided.
pub(super) fn decided(row: &mut LiveStep, is_satisfied: bool, task: &TaskRow, now: Timestamp) {
    row.unmet = row.unmet.saturating_sub(1 + u32::from(planted(Bug::FanInCountedTwice)));
    row.met |= is_satisfied;
    if row.unmet == 0 && row.met {
        row.state = StepState::Ready;
        row.ready_at = now;
        row.held = task.state == TaskState::Paused && !planted(Bug::ContinuationIgnoresPause);
    }
}

/// It was skipped before it ever was ready.
pub(super) fn skipped_row(task: &TaskRow, number: StepNumber, now: Timestamp) -> ResultRow {
    ResultRow {
        task: task.id,
        number,
        outcome: StepState::Skipped,
        cause: Cause::Decision,
        attempt: 0,
        worker: None,
        ready_at: None,
        claimed_at: None,
        finished_at: now,
        result: None,
        detail: None,
    }
}
