//! What only the outside world knows: which attempts really ran and what came of them, and what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tasker_runtime::core::{AttemptOutcome, AttemptRow, Cause, Dump, ResultRow, StepRef, TaskRow};
use tasker_types::{Start, StepNumber, StepState, TaskId, TaskSequenceStep, WorkerId};

use crate::life::{Being, Life};
use crate::sim::Failure;
use crate::store::short;

#[derive(Default)]
pub(crate) struct Journal {
    attempts: BTreeMap<(StepRef, u32), Option<End>>,
    /// What runs in each life of a process.
    running: BTreeSet<((usize, u32), StepRef, u32)>,
    /// Who claimed each attempt.
    pub(crate) claimed: BTreeMap<(StepRef, u32), WorkerId>,
    /// Tasks by what they were submitted as.
    accepted: BTreeMap<u64, TaskId>,
    /// Tasks by their template and what their requests are known by.
    named: BTreeMap<(i64, u64), TaskId>,
    /// How long the first steps of a task wait, where its request says so.
    delays: BTreeMap<TaskId, Duration>,
    /// How long claims of a task may be held, where its request says so.
    claim_timeouts: BTreeMap<TaskId, Duration>,
}

/// How an attempt came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Value(String),
    /// It may be tried again.
    Error,
    Permanent,
    /// It heeded its cancellation.
    Cancelled,
    /// A value that cannot be stored.
    Poison,
}

impl Journal {
    /// Claims of a task may be held for so long.
    pub(crate) fn bound(&mut self, task: TaskId, claim_timeout: Option<Duration>) {
        self.claim_timeouts.extend(claim_timeout.map(|timeout| (task, timeout)));
    }

    /// The first steps of a task wait for so long.
    pub(crate) fn delay(&mut self, task: TaskId, start: Start) {
        if let Start::In(delay) = start {
            self.delays.insert(task, delay);
        }
    }

    pub(crate) fn delay_of(&self, task: TaskId) -> Duration {
        self.delays.get(&task).copied().unwrap_or_default()
    }

    pub(crate) fn claim_timeout(&self, task: TaskId) -> Option<Duration> {
        self.claim_timeouts.get(&task).copied()
    }

    /// An attempt begins.
    pub(crate) fn begin(
        &mut self,
        life: &Life,
        at: StepRef,
        attempt: u32,
        step: &TaskSequenceStep,
        rows: &Dump,
        slots: usize,
    ) -> Result<(), Failure> {
        let name = format!("t{}/{}#{attempt}", short(at.task), at.number);
        let here: Vec<StepRef> =
            self.running.iter().filter(|(of, ..)| *of == life.id()).map(|(_, step, _)| *step).collect();
        self.running.insert((life.id(), at, attempt));
        if here.len() >= slots && life.being() == Being::Up {
            return Err(Failure::new("slots", format!("{name} runs beside {} others in {slots} slots", here.len())));
        }
        if here.contains(&at) {
            return Err(Failure::new("runs beside itself", name));
        }
        if self.attempts.insert((at, attempt), None).is_some() {
            return Err(Failure::new("attempt used again", name));
        }
        let Some(task) = rows.tasks.iter().find(|row| row.id == at.task) else {
            return Err(Failure::new("started without a task", name));
        };
        let certain = before(task, rows, at.number);
        let ancestors = task.pinned.ancestors(at.number);
        let workers: Vec<StepNumber> = rows
            .results
            .iter()
            .filter(|row| row.task == at.task && row.number >= task.pinned.first_worker())
            .map(|row| row.number)
            .filter(|&worker| ancestors.contains(&task.pinned.template_step(worker)))
            .collect();
        for number in ancestors.into_iter().chain(workers) {
            let row = result_of(rows, at.task, number);
            let recorded = row.and_then(|row| row.result.as_deref());
            let given = step.dependency_results.get(&task.pinned.name(number)).map(|given| &given.result);
            let same = match (recorded, given) {
                (Some(recorded), Some(given)) => {
                    serde_json::from_str::<Value>(recorded).is_ok_and(|value| value == *given)
                }
                (None, None) => {
                    !certain.contains(&number)
                        || row
                            .is_some_and(|row| matches!(row.outcome, StepState::Skipped | StepState::ResolvedManually))
                }
                (_, None) => !certain.contains(&number),
                (None, Some(_)) => false,
            };
            if !same {
                let what = format!("{name}: step {number} is recorded as {recorded:?}, given is {given:?}");
                return Err(Failure::new("started before its dependencies", what));
            }
        }
        Ok(())
    }

    pub(crate) fn end(&mut self, at: StepRef, attempt: u32, end: End) {
        self.attempts.insert((at, attempt), Some(end));
    }

    pub(crate) fn leave(&mut self, life: &Life, at: StepRef, attempt: u32) {
        self.running.remove(&(life.id(), at, attempt));
    }

    pub(crate) fn accept(&mut self, n: u64, task: TaskId) -> Result<(), Failure> {
        match self.accepted.insert(n, task) {
            Some(before) => {
                let what = format!("request {n} is t{} and t{}", short(before), short(task));
                Err(Failure::new("accepted twice", what))
            }
            None => Ok(()),
        }
    }

    /// The task of a request that is known by this, from now on; the one that it had before, where there is one.
    pub(crate) fn name(&mut self, key: (i64, u64), task: TaskId) -> Option<TaskId> {
        Some(*self.named.entry(key).or_insert(task))
    }

    pub(crate) fn named(&self, key: (i64, u64)) -> Option<TaskId> {
        self.named.get(&key).copied()
    }

    /// As what the task was submitted.
    pub(crate) fn request_of(&self, task: TaskId) -> Option<u64> {
        self.accepted.iter().find_map(|(&n, &id)| (id == task).then_some(n))
    }

    pub(crate) fn accepted(&self, n: u64) -> Option<TaskId> {
        self.accepted.get(&n).copied()
    }

    /// Whether an attempt that did not end its step came to its end as is recorded.
    pub(crate) fn confirm_attempt(&self, row: &AttemptRow) -> Result<(), Failure> {
        let end = self.attempts.get(&(StepRef { task: row.task, number: row.number }, row.attempt));
        let real = match row.outcome {
            AttemptOutcome::Failed => matches!(end, Some(Some(End::Error))),
            AttemptOutcome::TimedOut => matches!(end, Some(None)),
            _ => true,
        };
        let what = || {
            format!(
                "t{}/{}#{} is recorded as {:?}, it was {end:?}",
                short(row.task),
                row.number,
                row.attempt,
                row.outcome
            )
        };
        if real { Ok(()) } else { Err(Failure::new("outcome of nobody", what())) }
    }

    /// Whether an attempt that ended its step came to its end as is recorded.
    pub(crate) fn confirm_result(&self, row: &ResultRow) -> Result<(), Failure> {
        let end = self.attempts.get(&(StepRef { task: row.task, number: row.number }, row.attempt));
        let real = match (row.outcome, row.cause) {
            (StepState::Completed, Cause::Handler) => {
                matches!(end, Some(Some(End::Value(value))) if row.result.as_deref() == Some(value))
            }
            (StepState::Failed, Cause::Handler) => {
                matches!(end, Some(None | Some(End::Error | End::Permanent | End::Poison | End::Cancelled)))
            }
            (StepState::Cancelled, _) | (StepState::Failed, Cause::Losses) | (_, Cause::Operator) => true,
            // What it returned can be lost with its worker.
            (StepState::Skipped, Cause::Skippable) => {
                let is_lost = row.detail.as_deref().is_some_and(|detail| detail.contains("worker_lost"));
                is_lost || !matches!(end, Some(Some(End::Value(_))))
            }
            _ => false,
        };
        let what = || {
            let (task, number, attempt) = (short(row.task), row.number, row.attempt);
            format!("t{task}/{number}#{attempt} is recorded as {:?}, {:?}, it was {end:?}", row.outcome, row.result)
        };
        if real { Ok(()) } else { Err(Failure::new("outcome of nobody", what())) }
    }
}

/// The steps that were over for certain when this one began: its parents, and those of each step before it that ran. Of a
/// step that was skipped, others before it may go on.
fn before(task: &TaskRow, rows: &Dump, number: StepNumber) -> BTreeSet<StepNumber> {
    // Workers of batches stand in the place of the step that they are made after, which has no row.
    let parents = |number: StepNumber| {
        let batch = |parent: StepNumber| rows.batches.iter().find(|row| row.task == task.id && row.number == parent);
        let each = |&parent: &StepNumber| -> Vec<StepNumber> {
            let workers = batch(parent).map(|batch| (0..batch.count).filter_map(|at| task.pinned.worker(parent, at)));
            workers.map_or_else(|| vec![parent], Iterator::collect)
        };
        task.pinned.parents(number).iter().flat_map(each).collect::<Vec<_>>()
    };
    let mut certain: BTreeSet<StepNumber> = parents(number).into_iter().collect();
    let mut open: Vec<StepNumber> = certain.iter().copied().collect();
    while let Some(step) = open.pop() {
        if result_of(rows, task.id, step).is_some_and(|row| row.attempt > 0) {
            open.extend(parents(step).into_iter().filter(|&parent| certain.insert(parent)));
        }
    }
    certain
}

pub(crate) fn result_of(rows: &Dump, task: TaskId, number: StepNumber) -> Option<&ResultRow> {
    let found = rows.results.binary_search_by_key(&(task, number), |row| (row.task, row.number));
    found.ok().map(|at| &rows.results[at])
}
