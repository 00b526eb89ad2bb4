//! Workers of batches: made when their step has cut its work, begun a bounded number at a time, and waited for by one.

use std::collections::BTreeMap;

use tasker_types::{BatchSpec, FailureStrategy, StepNumber, StepState, TaskState, Timestamp};

use super::super::row::Cause;
use super::super::{BatchRow, Change, LiveStep, ResultRow, Snapshot, TaskRow, Workers};
use super::successors::{Spread, decided, row_of, skipped_row};
use crate::plant::{Bug, planted};

/// The batchable step is over: its workers are made, and of its other worker steps there are none.
pub(super) fn make(
    snapshot: &Snapshot,
    task: &TaskRow,
    made_by: StepNumber,
    workers: Option<Workers>,
    now: Timestamp,
    changes: &mut Vec<Change>,
) -> Spread {
    let mut spread = Spread::default();
    // A step may wait for the batchable one and for its workers: what becomes of it is gathered.
    let mut rows: BTreeMap<StepNumber, LiveStep> = BTreeMap::new();
    for &child in task.pinned.children(made_by) {
        if !task.pinned.step(child).is_batch_worker() {
            each(snapshot, task, &[child], &mut rows, now, |row| decided(row, true, task, now));
            continue;
        }
        let waiting = task.pinned.children(child);
        match workers.filter(|workers| workers.of == child) {
            // Whoever waits for the worker step waits for each of them.
            Some(Workers { of, count }) => {
                each(snapshot, task, waiting, &mut rows, now, |row| {
                    row.unmet += if planted(Bug::AggregatorBeforeWorkers) { 0 } else { count - 1 };
                });
                let batch = BatchRow { task: task.id, number: of, count, next: 0, in_flight: 0, failed: 0 };
                let spec = task.pinned.step(made_by).definition.batch.unwrap_or_default();
                let (batch, ready) = begin(task, batch, spec.parallelism.unwrap_or(count), now, changes);
                changes.push(Change::Batch(batch));
                spread += Spread { ready, closed: 1 - i32::try_from(count).unwrap_or(i32::MAX) };
            }
            // There is nothing to wait for.
            None => {
                each(snapshot, task, waiting, &mut rows, now, |row| decided(row, true, task, now));
                changes.push(Change::Result(ResultRow { cause: Cause::Handler, ..skipped_row(task, child, now) }));
                spread.closed += 1;
            }
        }
    }
    let ready = rows.values().filter(|row| row.state == StepState::Ready).count();
    spread.ready += i32::try_from(ready).unwrap_or(i32::MAX);
    changes.extend(rows.into_values().map(Change::Live));
    spread
}

/// Does this to the rows of those of the steps that are not over.
fn each(
    snapshot: &Snapshot,
    task: &TaskRow,
    steps: &[StepNumber],
    rows: &mut BTreeMap<StepNumber, LiveStep>,
    now: Timestamp,
    change: impl Fn(&mut LiveStep),
) {
    for &step in steps.iter().filter(|&&step| !snapshot.is_over(task.id, step)) {
        change(rows.entry(step).or_insert_with(|| row_of(snapshot, task, step, now)));
    }
}

/// Begins workers up to the bound.
pub(super) fn begin(
    task: &TaskRow,
    mut batch: BatchRow,
    parallelism: u32,
    now: Timestamp,
    changes: &mut Vec<Change>,
) -> (BatchRow, i32) {
    let mut ready = 0;
    let parallelism = if planted(Bug::ParallelismIgnored) { parallelism.saturating_mul(2) } else { parallelism };
    while batch.in_flight < parallelism && batch.next < batch.count {
        let Some(number) = task.pinned.worker(batch.number, batch.next) else { break };
        let row = LiveStep::ready(task.id, &task.pinned, number, task.priority, now);
        changes.push(Change::Live(LiveStep { held: task.state == TaskState::Paused, ..row }));
        batch.next += 1;
        batch.in_flight += 1;
        ready += 1;
    }
    (batch, ready)
}

/// A worker is over and satisfies who waits: another one begins. Does nothing for any other step.
pub(super) fn go_on(
    snapshot: &Snapshot,
    task: &TaskRow,
    number: StepNumber,
    was_failed: bool,
    now: Timestamp,
    changes: &mut Vec<Change>,
) -> Spread {
    let Some((mut batch, spec)) = batch_of(snapshot, task, number) else { return Spread::default() };
    let mut ready = 0;
    if was_failed {
        batch.failed = batch.failed.saturating_sub(1);
        ready += wake(snapshot, task, batch, changes);
    } else {
        batch.in_flight = batch.in_flight.saturating_sub(1);
    }
    let parallelism = if is_stopped(batch, spec) { 0 } else { spec.parallelism.unwrap_or(batch.count) };
    let (batch, begun) = begin(task, batch, parallelism, now, changes);
    changes.push(Change::Batch(batch));
    Spread { ready: ready + begun, ..Spread::default() }
}

/// A worker failed for good. The others go on, or those that wait are held up. Tells how many became runnable.
pub(super) fn fail(
    snapshot: &Snapshot,
    task: &TaskRow,
    number: StepNumber,
    now: Timestamp,
    changes: &mut Vec<Change>,
) -> i32 {
    let Some((mut batch, spec)) = batch_of(snapshot, task, number) else { return 0 };
    batch.failed += 1;
    batch.in_flight = batch.in_flight.saturating_sub(1);
    if !is_stopped(batch, spec) {
        let (batch, ready) = begin(task, batch, spec.parallelism.unwrap_or(batch.count), now, changes);
        changes.push(Change::Batch(batch));
        return ready;
    }
    changes.push(Change::Batch(batch));
    let waits = |row: &&LiveStep| matches!(row.state, StepState::Ready | StepState::WaitingForRetry);
    let others = workers_of(snapshot, task, batch.number).filter(|row| row.number != number).filter(waits);
    let held_up: Vec<Change> = others.map(|row| Change::Live(hold_up(row.clone()))).collect();
    let count = i32::try_from(held_up.len()).unwrap_or(i32::MAX);
    changes.extend(held_up);
    -count
}

/// What would be ready or wait for its retry waits until another worker of its batch, which failed, is tried again.
pub(super) fn unless_stopped(snapshot: &Snapshot, task: &TaskRow, row: LiveStep) -> LiveStep {
    match batch_of(snapshot, task, row.number) {
        Some((batch, spec)) if is_stopped(batch, spec) => hold_up(row),
        _ => row,
    }
}

fn hold_up(row: LiveStep) -> LiveStep {
    LiveStep { state: StepState::Pending, unmet: 1, held: false, ..row }
}

/// Failed workers are tried again: what was held up for them goes on. Tells how many became ready.
pub(super) fn reopen(
    snapshot: &Snapshot,
    task: &TaskRow,
    failed: &[(StepNumber, u32)],
    changes: &mut Vec<Change>,
) -> i32 {
    let mut ready = 0;
    for mut batch in snapshot.batches_of(task.id) {
        let is_of = |number: StepNumber| {
            task.pinned.worker_index(number).is_some() && task.pinned.template_step(number) == batch.number
        };
        let reopened = u32::try_from(failed.iter().filter(|(number, _)| is_of(*number)).count()).unwrap_or(u32::MAX);
        if reopened > 0 {
            batch.failed = batch.failed.saturating_sub(reopened);
            batch.in_flight += reopened;
            ready += wake(snapshot, task, batch, changes);
            changes.push(Change::Batch(batch));
        }
    }
    ready
}

/// What was held up in a batch goes on, once nothing of it is failed.
fn wake(snapshot: &Snapshot, task: &TaskRow, batch: BatchRow, changes: &mut Vec<Change>) -> i32 {
    if batch.failed > 0 {
        return 0;
    }
    let held_up = workers_of(snapshot, task, batch.number).filter(|row| row.state == StepState::Pending);
    let held = task.state == TaskState::Paused;
    let woken: Vec<Change> =
        held_up.map(|row| Change::Live(LiveStep { state: StepState::Ready, unmet: 0, held, ..row.clone() })).collect();
    let count = i32::try_from(woken.len()).unwrap_or(i32::MAX);
    changes.extend(woken);
    count
}

fn is_stopped(batch: BatchRow, spec: BatchSpec) -> bool {
    let stops = match spec.failure_strategy {
        FailureStrategy::FailFast => !planted(Bug::FailFastGoesOn),
        FailureStrategy::Isolate => planted(Bug::IsolateStops),
        FailureStrategy::ContinueOnFailure => false,
    };
    stops && batch.failed > 0
}

fn workers_of<'s>(snapshot: &'s Snapshot, task: &TaskRow, of: StepNumber) -> impl Iterator<Item = &'s LiveStep> {
    let pinned = task.pinned.clone();
    snapshot
        .live_of(task.id)
        .filter(move |row| pinned.worker_index(row.number).is_some() && pinned.template_step(row.number) == of)
}

fn batch_of(snapshot: &Snapshot, task: &TaskRow, number: StepNumber) -> Option<(BatchRow, BatchSpec)> {
    let spec = task.pinned.batch_of(number)?;
    Some((snapshot.batch(task.id, task.pinned.template_step(number))?, spec))
}
