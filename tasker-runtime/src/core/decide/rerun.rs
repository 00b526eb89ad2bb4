//! A task that is over is run again from one of its steps on, as a new task: what comes neither at nor after the step is taken
//! over as it stands, the rest is open.

use std::collections::{BTreeMap, BTreeSet};

use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp};

use super::super::{ActionRow, BatchRow, Change, LiveStep, Pinned, Refusal, Rerun, RerunRow, Snapshot, TaskRow};
use super::batch;
use super::successors::skipped_row;
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

pub(super) fn rerun(snapshot: &Snapshot, rerun: &Rerun, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    let Rerun { new, source, from, .. } = rerun;
    let source = snapshot.task(*source).ok_or(Refusal::NoTask(*source))?;
    if !source.state.is_over() {
        return Err(Refusal::TaskState { task: source.id, state: source.state, wanted: "rerun before it is over" });
    }
    if snapshot.task(new.id).is_some() {
        return Err(Refusal::Exists(new.id));
    }
    if !has_step(snapshot, source, *from) {
        return Err(Refusal::NoStep { task: source.id, number: *from });
    }
    let plan = Plan::of(snapshot, source, rerun)?;
    let steps = u32::try_from(source.pinned.steps.len()).unwrap_or(u32::MAX);
    let copied: Vec<StepNumber> = plan.copied.iter().copied().collect();
    let mut changes = vec![
        Change::NewTask { new: Box::new(new.clone()), open_steps: steps, at: now },
        Change::Copy { task: new.id, source: source.id, steps: copied },
        Change::Rerun(RerunRow { task: new.id, source: source.id, from: *from, action: rerun.action.id }),
    ];
    let mut open = Open { task: task_of(rerun, source, now), now, changes: &mut changes, closed: 0, runnable: 0 };
    open.closed += i32::try_from(plan.copied.len()).unwrap_or(i32::MAX);
    plan.batches.values().for_each(|&made| open.begin_workers(&plan, made));
    plan.steps.iter().for_each(|(&number, &stands)| open.step(number, stands));
    let Open { closed, runnable, .. } = open;
    let left = i32::try_from(steps).unwrap_or(i32::MAX) - closed;
    changes.push(Change::Count { task: new.id, open_steps: -closed, runnable });
    if runnable == 0 {
        let state = if left == 0 { TaskState::Completed } else { TaskState::Failed };
        changes.push(Change::TaskState { task: new.id, state, at: now });
    }
    changes.push(Change::Action(ActionRow {
        id: rerun.action.id,
        task: new.id,
        number: Some(*from),
        kind: Rerun::KIND,
        actor: rerun.action.actor.clone(),
        reason: rerun.action.reason.clone(),
        at: now,
    }));
    Ok(changes)
}

/// Whether the number is that of a step of the template, or of a worker that was made.
fn has_step(snapshot: &Snapshot, source: &TaskRow, number: StepNumber) -> bool {
    let pinned = &source.pinned;
    match pinned.worker_index(number) {
        None => number.index() < pinned.steps.len(),
        Some(index) => {
            let made = snapshot.batch(source.id, pinned.template_step(number));
            made.is_some_and(|batch| index < batch.count)
        }
    }
}

/// The new task, as far as its steps are made from it.
fn task_of(rerun: &Rerun, source: &TaskRow, now: Timestamp) -> TaskRow {
    TaskRow {
        id: rerun.new.id,
        pinned: source.pinned.clone(),
        state: TaskState::Pending,
        open_steps: 0,
        runnable: 0,
        priority: rerun.new.priority,
        created_at: now,
        started_at: None,
        finished_at: None,
    }
}

/// How a step of the template stands in the new task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Its result is taken over; whether a decision had not chosen it.
    Copied { unchosen: bool },
    /// A decision whose result is taken over did not choose it.
    Skipped,
    /// Workers are made after it.
    Made,
    /// It is open: how many it waits for and how many of them are not decided, and whether one is satisfied.
    Open { parents: u32, unmet: u32, met: bool, after_workers: bool },
}

struct Plan {
    /// Steps and workers whose results are taken over.
    copied: BTreeSet<StepNumber>,
    /// The batches that the new task has from the start, none of whose workers is begun.
    batches: BTreeMap<StepNumber, BatchRow>,
    /// How many workers of each are taken over: counted once, though each step after them waits for all.
    workers_copied: BTreeMap<StepNumber, u32>,
    steps: BTreeMap<StepNumber, Stands>,
    /// Workers that were begun, and whose results are not taken over.
    begun: Vec<StepNumber>,
}

impl Plan {
    fn of(snapshot: &Snapshot, source: &TaskRow, rerun: &Rerun) -> Result<Self, Refusal> {
        let (pinned, from) = (&*source.pinned, rerun.from);
        let anew = anew(snapshot, source, from);
        let is_anew = |number: StepNumber| number == from || anew.contains(&pinned.template_step(number));
        let refused = |why| Refusal::NotRerun { task: source.id, number: from, why };
        let over =
            snapshot.over_of(source.id).filter(|(number, over)| over.outcome.decides_successors() && !is_anew(*number));
        let copied: BTreeSet<StepNumber> = over.map(|(number, _)| number).collect();
        // The step that made them is not run anew: they are there from the start.
        let is_kept = |row: &BatchRow| pinned.parents(row.number).iter().all(|made_by| copied.contains(made_by));
        let batches: BTreeMap<StepNumber, BatchRow> =
            snapshot.batches_of(source.id).filter(is_kept).map(|row| (row.number, row)).collect();
        let begun = batches.values().flat_map(|row| {
            let all_anew = anew.contains(&row.number);
            let workers = (0..row.next).filter_map(|index| pinned.worker(row.number, index));
            workers.filter(move |_| !all_anew).filter(|worker| !copied.contains(worker))
        });
        let begun = begun.collect();
        let kept = batches.into_values().map(|row| {
            let next = if anew.contains(&row.number) { 0 } else { row.next };
            (row.number, BatchRow { task: rerun.new.id, next, in_flight: 0, failed: 0, ..row })
        });
        let mut workers_copied = BTreeMap::new();
        for &worker in copied.iter().filter(|&&number| pinned.worker_index(number).is_some()) {
            *workers_copied.entry(pinned.template_step(worker)).or_default() += 1;
        }
        let mut plan = Self { copied, batches: kept.collect(), workers_copied, steps: BTreeMap::new(), begun };
        // A template that has a cycle is refused before it is stored.
        for number in pinned.graph().topological().unwrap_or_default() {
            let stands = plan.stands(snapshot, pinned, rerun, number)?;
            let is_from = number == pinned.template_step(from);
            if is_from && stands == Stands::Skipped {
                mark(Mark::RerunOfUnchosen);
                return Err(refused("a decision before it did not choose it; rerun from that decision"));
            }
            let is_worker = pinned.step(number).is_batch_worker() && matches!(stands, Stands::Open { unmet: 0, .. });
            if is_worker {
                return Err(refused("there were no batches for it; rerun from the step that makes them"));
            }
            plan.steps.insert(number, stands);
        }
        Ok(plan)
    }

    /// How a step stands, given how those before it do.
    fn stands(
        &self,
        snapshot: &Snapshot,
        pinned: &Pinned,
        rerun: &Rerun,
        number: StepNumber,
    ) -> Result<Stands, Refusal> {
        let joins = pinned.step(number).joins();
        let (mut parents, mut unmet, mut satisfied, mut unsatisfied, mut after_workers) = (0, 0, 0, 0, false);
        for &parent in pinned.parents(number) {
            if let Some(batch) = self.batches.get(&parent) {
                let over = self.workers_copied.get(&parent).copied().unwrap_or_default();
                (parents, unmet, satisfied) = (parents + batch.count, unmet + batch.count - over, satisfied + over);
                after_workers = true;
                continue;
            }
            parents += 1;
            match self.steps.get(&parent) {
                Some(Stands::Copied { unchosen: false }) => {
                    let left_out = !joins && is_left_out(snapshot, pinned, rerun, (parent, number))?;
                    (satisfied, unsatisfied) = (satisfied + u32::from(!left_out), unsatisfied + u32::from(left_out));
                }
                Some(Stands::Copied { unchosen: true } | Stands::Skipped) => unsatisfied += 1,
                _ => unmet += 1,
            }
        }
        let unchosen = if joins { unmet == 0 && satisfied == 0 && parents > 0 } else { unsatisfied > 0 };
        if self.copied.contains(&number) {
            let skipped = snapshot.over_at(rerun.source, number).is_some_and(|over| over.outcome == StepState::Skipped);
            return Ok(Stands::Copied { unchosen: unchosen && skipped });
        }
        if self.batches.contains_key(&number) {
            return Ok(Stands::Made);
        }
        Ok(if unchosen { Stands::Skipped } else { Stands::Open { parents, unmet, met: satisfied > 0, after_workers } })
    }
}

/// The steps of the template that are run anew: the one that was named, all after it, and batchable steps that completed while
/// their task was being cancelled, for their workers were never made. Of a worker of a batch, those after it.
fn anew(snapshot: &Snapshot, source: &TaskRow, from: StepNumber) -> BTreeSet<StepNumber> {
    let (pinned, graph) = (&source.pinned, source.pinned.graph());
    let later = graph.descendants(pinned.template_step(from));
    let mut anew: BTreeSet<StepNumber> = later.into_iter().filter(|_| !planted(Bug::RerunKeepsLater)).collect();
    if pinned.worker_index(from).is_none() {
        anew.insert(from);
    }
    let unmade = |number: &StepNumber| {
        let is_there =
            |worker: &StepNumber| snapshot.is_over(source.id, *worker) || snapshot.batch(source.id, *worker).is_some();
        let workers = pinned.children(*number).iter().filter(|&&child| pinned.step(child).is_batch_worker());
        pinned.step(*number).makes_batches() && snapshot.is_over(source.id, *number) && !workers.clone().all(is_there)
    };
    for number in pinned.numbers().filter(unmade) {
        if anew.insert(number) {
            mark(Mark::RerunOfUnmade);
        }
        anew.extend(graph.descendants(number));
    }
    anew
}

/// Whether a decision whose result is taken over chose other steps.
fn is_left_out(
    snapshot: &Snapshot,
    pinned: &Pinned,
    rerun: &Rerun,
    (parent, child): (StepNumber, StepNumber),
) -> Result<bool, Refusal> {
    let completed =
        |task: TaskId| snapshot.over_at(task, parent).is_some_and(|over| over.outcome == StepState::Completed);
    if !pinned.step(parent).decides() || !completed(rerun.source) || planted(Bug::RerunForgetsChoice) {
        return Ok(false);
    }
    // It was completed by hand a moment ago: whoever asks again will know what it chose.
    let chosen = rerun.chosen.get(&parent).ok_or(Refusal::NotRerun {
        task: rerun.source,
        number: rerun.from,
        why: "a decision of it was completed a moment ago; try again",
    })?;
    Ok(chosen.binary_search(&child).is_err())
}

/// The steps of the new task that are open, as they are made.
struct Open<'c> {
    task: TaskRow,
    now: Timestamp,
    changes: &'c mut Vec<Change>,
    closed: i32,
    runnable: i32,
}

impl Open<'_> {
    fn ready(&mut self, number: StepNumber) {
        self.runnable += 1;
        let row = LiveStep::ready(self.task.id, &self.task.pinned, number, self.task.priority, self.now);
        self.changes.push(Change::Live(row));
    }

    /// Workers that were begun and are not over run again, and others begin beside them up to the bound.
    fn begin_workers(&mut self, plan: &Plan, mut batch: BatchRow) {
        let pinned = self.task.pinned.clone();
        for &worker in plan.begun.iter().filter(|&&worker| pinned.template_step(worker) == batch.number) {
            mark(Mark::RerunOfBegunWorker);
            self.ready(worker);
            batch.in_flight += 1;
        }
        let spec = pinned.worker(batch.number, 0).and_then(|first| pinned.batch_of(first)).unwrap_or_default();
        let most = spec.parallelism.unwrap_or(batch.count);
        if !plan.workers_copied.is_empty() {
            mark(Mark::RerunWithinBatch);
        }
        let (batch, ready) = batch::begin(&self.task, batch, most, self.now, self.changes);
        self.changes.push(Change::Batch(batch));
        self.runnable += ready;
        self.closed += 1 - i32::try_from(batch.count).unwrap_or(i32::MAX);
    }

    fn step(&mut self, number: StepNumber, stands: Stands) {
        match stands {
            Stands::Copied { .. } | Stands::Made => {}
            Stands::Skipped => {
                mark(Mark::RerunSkips);
                self.closed += 1;
                self.changes.push(Change::Result(skipped_row(&self.task, number, self.now)));
            }
            Stands::Open { unmet: 0, .. } => self.ready(number),
            // Nothing before it is decided, and it waits for the steps that its template names: it has no row yet.
            Stands::Open { parents, unmet, after_workers: false, .. } if unmet == parents => {}
            Stands::Open { unmet, met, .. } => {
                let ready = LiveStep::ready(self.task.id, &self.task.pinned, number, self.task.priority, self.now);
                self.changes.push(Change::Live(LiveStep { state: StepState::Pending, unmet, met, ..ready }));
            }
        }
    }
}
