//! What must be true of the rows after every call, and of what became of the rows before it.

use std::collections::BTreeMap;

use tasker_runtime::core::{
    AttemptOutcome, AttemptRow, Cause, Command, Dump, LiveStep, ResultRow, StepRef, TaskRow, check,
};
use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp, WorkerId};

use crate::journal::{Journal, result_of};
use crate::lifetime::{check_ended, is_expired};
use crate::sim::Failure;
use crate::store::short;

/// Tasks that run others again are counted from here on.
const RERUNS: u64 = 1_000_000;

/// What one call did to the rows.
pub(crate) struct Change<'c> {
    pub(crate) before: &'c Dump,
    pub(crate) after: &'c Dump,
    pub(crate) now: Timestamp,
    pub(crate) journal: &'c mut Journal,
    pub(crate) leases: &'c BTreeMap<WorkerId, Timestamp>,
    pub(crate) lives: &'c BTreeMap<WorkerId, (usize, u32)>,
    /// Whose call it is.
    pub(crate) by: (usize, u32),
    /// The time that a batch was told: what starts in it, starts as a continuation.
    pub(crate) told: Option<Timestamp>,
}

impl Change<'_> {
    pub(crate) fn check<'a>(mut self, accepted: impl Iterator<Item = &'a Command>) -> Result<(), Failure> {
        if let Some(wrong) = check(self.after).first() {
            return Err(Failure::new(format!("invariant {}", wrong.invariant), wrong.to_string()));
        }
        for command in accepted {
            self.check_command(command)?;
        }
        self.check_tasks()?;
        self.check_history()?;
        for row in &self.before.live {
            self.check_claim(row)?;
        }
        for row in self.after.live.iter().filter(|row| row.state == StepState::Running) {
            self.check_start(row)?;
        }
        self.check_lossy()
    }

    /// An outcome is taken only from the attempt and the worker that held the claim.
    fn check_command(&mut self, command: &Command) -> Result<(), Failure> {
        match command {
            Command::Submit(new) => {
                let input: serde_json::Value = serde_json::from_str(&new.input.context).unwrap();
                let is_new = task_of(self.after, new.id).is_some();
                let name = || format!("request {}", input["n"]);
                if let Some(key) = input["key"].as_u64() {
                    let key = (new.pinned.id.0, key);
                    let meant = if is_new { self.journal.name(key, new.id) } else { self.journal.named(key) };
                    expect(meant.is_some_and(|id| (id == new.id) == is_new), "two tasks of one request", name)?;
                }
                if !is_new {
                    return expect(input["key"].is_u64(), "taken and not there", name);
                }
                self.journal.bound(new.id, new.input.claim_timeout);
                self.journal.delay(new.id, new.start);
                self.journal.accept(input["n"].as_u64().unwrap(), new.id)
            }
            Command::Rerun(rerun) => {
                self.journal.bound(rerun.new.id, rerun.new.input.claim_timeout);
                // So that it can be acted on, as what was submitted.
                self.journal.accept(RERUNS + u64::try_from(short(rerun.new.id)).unwrap(), rerun.new.id)
            }
            Command::Finish(finish) => {
                let held = live_of(self.before, finish.step);
                let same = |row: &LiveStep| row.attempt == finish.attempt && row.claimed_by == Some(finish.worker);
                let what = || format!("t{}/{}#{}", short(finish.step.task), finish.step.number, finish.attempt);
                expect(held.is_some_and(same), "outcome without a claim", what)
            }
            Command::Checkpoint(saved) => {
                let held = live_of(self.before, saved.step);
                let same = |row: &LiveStep| row.attempt == saved.attempt && row.claimed_by == Some(saved.worker);
                let what = || format!("t{}/{}#{}", short(saved.step.task), saved.step.number, saved.attempt);
                expect(held.is_some_and(same), "saved without a claim", what)
            }
            Command::Release { step, attempt, worker } => {
                let what = || format!("t{}/{}#{attempt}", short(step.task), step.number);
                expect(self.lives.get(worker) == Some(&self.by), "given back by another process", what)
            }
            _ => Ok(()),
        }
    }

    /// Nothing that is over changes, but by an operator.
    fn check_tasks(&self) -> Result<(), Failure> {
        for before in &self.before.tasks {
            let after = task_of(self.after, before.id);
            let acted = |dump: &Dump| dump.actions.iter().filter(|row| row.task == before.id).count();
            let legal = after.is_some_and(|after| {
                after.state == before.state
                    || (before.state.may_become(after.state)
                        && (!before.state.is_over() || acted(self.after) > acted(self.before)))
                    // Several commands of one batch.
                    || (acted(self.after) > acted(self.before) && before.state != TaskState::Completed)
            });
            let what = || format!("t{} was {} and is {:?}", short(before.id), before.state, after.map(|row| row.state));
            expect(legal, "task state", what)?;
        }
        Ok(())
    }

    /// What is recorded stays, and what is recorded anew really happened.
    fn check_history(&self) -> Result<(), Failure> {
        let (before, after) = (self.before, self.after);
        // The last attempt of a step that an operator ended is the one from which a retry counts anew.
        let is_reopened = |row: &&AttemptRow| {
            let mut reopened = AttemptRow::clone(row);
            reopened.reopen();
            reopened != **row && after.attempts.contains(&reopened)
        };
        let kept: Vec<AttemptRow> = before.attempts.iter().filter(|row| !is_reopened(row)).cloned().collect();
        let new = added(&kept, &after.attempts).ok_or_else(|| gone("an attempt"))?;
        let actions = added(&before.actions, &after.actions).ok_or_else(|| gone("an action"))?;
        for row in &before.results {
            let stays = result_of(after, row.task, row.number).is_some_and(|kept| kept == row);
            let reopened = |to: &&AttemptRow| {
                to.outcome == AttemptOutcome::Reopened
                    && (to.task, to.number, to.attempt) == (row.task, row.number, row.attempt)
            };
            let reopens = ["retry", "skip", "resolve", "complete"];
            let by_operator = actions.iter().any(|action| action.task == row.task && reopens.contains(&action.kind));
            expect(stays || (by_operator && new.iter().any(reopened)), "result gone", || {
                format!("t{}/{}#{}", short(row.task), row.number, row.attempt)
            })?;
        }
        for action in actions.iter().filter(|action| action.actor == "tasker") {
            check_ended(before, self.journal, action, self.now)?;
        }
        for row in new {
            self.journal.confirm_attempt(row)?;
            self.check_attempt(row)?;
        }
        for row in &after.results {
            if self.is_taken_over(row) {
                continue;
            }
            if row.attempt > 0 && result_of(before, row.task, row.number) != Some(row) {
                self.journal.confirm_result(row)?;
                let is_right = row.cause != Cause::Losses
                    || self.may_be_lost(row.worker)
                    || self.is_overdue(row.task, row.claimed_at);
                expect(is_right, "live worker's step lost", || {
                    format!("t{}/{}#{}", short(row.task), row.number, row.attempt)
                })?;
            }
        }
        Ok(())
    }

    /// Whether a task that runs another one again has the result of that one.
    fn is_taken_over(&self, row: &ResultRow) -> bool {
        let rerun = self.after.reruns.iter().find(|rerun| rerun.task == row.task);
        let source = rerun.and_then(|rerun| result_of(self.after, rerun.source, row.number));
        source.is_some_and(|source| ResultRow { task: row.task, ..source.clone() } == *row)
    }

    fn check_attempt(&self, row: &AttemptRow) -> Result<(), Failure> {
        let name = || format!("t{}/{}#{}", short(row.task), row.number, row.attempt);
        if row.outcome == AttemptOutcome::Lost {
            let is_right = self.may_be_lost(row.worker) || self.is_overdue(row.task, row.claimed_at);
            expect(is_right, "live worker's step lost", name)?;
        }
        let at = StepRef { task: row.task, number: row.number };
        if let (AttemptOutcome::Failed | AttemptOutcome::TimedOut, Some(live), Some(task)) =
            (row.outcome, live_of(self.after, at), task_of(self.after, row.task))
        {
            let (shortest, _) = task.pinned.step(row.number).retry.delay_range(live.failures);
            let backoff = row.retry_at.is_some_and(|at| at >= row.finished_at + shortest && live.ready_at >= at);
            expect(backoff, "backoff", || {
                format!("{}: failed at {}, again at {}, backoff {shortest:?}", name(), row.finished_at, live.ready_at)
            })?;
        }
        Ok(())
    }

    fn may_be_lost(&self, worker: Option<WorkerId>) -> bool {
        worker.is_none_or(|worker| !self.has_lease(worker))
    }

    /// Whether a claim is held for longer than the request of its task allows.
    fn is_overdue(&self, task: TaskId, claimed_at: Option<Timestamp>) -> bool {
        let timeout = self.journal.claim_timeout(task);
        timeout.is_some_and(|timeout| claimed_at.is_some_and(|at| at + timeout <= self.now))
    }

    fn has_lease(&self, worker: WorkerId) -> bool {
        self.leases.get(&worker).is_some_and(|&until| until > self.now)
    }

    /// What became of a row: a claim ends only with a record of its attempt, and an attempt is counted by a claim alone.
    fn check_claim(&self, before: &LiveStep) -> Result<(), Failure> {
        let at = StepRef { task: before.task, number: before.number };
        let name = || format!("t{}/{}#{}", short(before.task), before.number, before.attempt);
        let after = live_of(self.after, at);
        if before.state == StepState::Running {
            let same = after.is_some_and(|row| {
                (row.state, row.attempt, row.claimed_by) == (before.state, before.attempt, before.claimed_by)
            });
            expect(same || self.is_recorded(at, before.attempt), "claim gone without a record", name)?;
        }
        let Some(after) = after else { return Ok(()) };
        let claimed =
            after.state == StepState::Running && (before.state, before.attempt) != (after.state, after.attempt);
        expect(after.attempt == before.attempt + u32::from(claimed), "attempt", || {
            format!("{}: {} as attempt {}", name(), after.state, after.attempt)
        })?;
        // A worker that is held up because another one failed keeps its time.
        let waits = matches!(after.state, StepState::WaitingForRetry | StepState::Pending);
        let waited = before.state == StepState::WaitingForRetry && !waits;
        expect(!waited || before.ready_at <= self.now, "backoff", || {
            format!("{}: it is {} at {}, it waits until {}", name(), after.state, self.now, before.ready_at)
        })
    }

    fn is_recorded(&self, at: StepRef, attempt: u32) -> bool {
        result_of(self.after, at.task, at.number).is_some_and(|row| row.attempt == attempt)
            || self
                .after
                .attempts
                .iter()
                .any(|row| (row.task, row.number, row.attempt) == (at.task, at.number, attempt))
    }

    /// A step that runs now and did not before may do so.
    fn check_start(&mut self, row: &LiveStep) -> Result<(), Failure> {
        let at = StepRef { task: row.task, number: row.number };
        if live_of(self.before, at).is_some_and(|before| (before.state, before.attempt) == (row.state, row.attempt)) {
            return Ok(());
        }
        let name = || format!("t{}/{}#{}", short(row.task), row.number, row.attempt);
        expect(row.claimed_by.is_some_and(|worker| self.has_lease(worker)), "started without a lease", name)?;
        let first = |row: &&LiveStep| {
            row.state == StepState::Ready
                && !row.held
                && row.losses == 0
                && self.told.is_some_and(|told| row.ready_at <= told)
        };
        let top = self.before.live.iter().filter(first).map(|row| row.priority).max();
        expect(top.is_none_or(|top| top <= row.priority), "continued past a higher priority", name)?;
        self.journal.claimed.extend(row.claimed_by.map(|worker| ((at, row.attempt), worker)));
        let task = task_of(self.after, row.task);
        expect(task.is_some_and(|task| task.state == TaskState::Running), "started in a stopped task", name)?;
        expect(!is_expired(self.after, row.task), "started out of time", name)?;
        let Some(task) = task else { return Ok(()) };
        for &parent in task.pinned.parents(row.number) {
            // Each worker of it, by the invariants.
            if self.after.batches.iter().any(|batch| batch.task == row.task && batch.number == parent) {
                continue;
            }
            let joins = task.pinned.step(row.number).joins();
            let met = result_of(self.after, row.task, parent).is_some_and(|row| match row.outcome {
                StepState::Completed => true,
                StepState::Skipped => joins || row.cause != Cause::Decision,
                StepState::ResolvedManually => true,
                _ => false,
            });
            expect(met, "started before its dependencies", || format!("{}: parent {parent}", name()))?;
        }
        Ok(())
    }

    /// A worker runs one step at a time that was lost before.
    fn check_lossy(&self) -> Result<(), Failure> {
        let mut lossy: BTreeMap<WorkerId, (TaskId, StepNumber)> = BTreeMap::new();
        for row in self.after.live.iter().filter(|row| row.losses > 0) {
            let Some(worker) = row.claimed_by else { continue };
            if let Some((task, number)) = lossy.insert(worker, (row.task, row.number)) {
                let what = format!("t{}/{number} and t{}/{}", short(task), short(row.task), row.number);
                return Err(Failure::new("lost steps together", what));
            }
        }
        Ok(())
    }
}

fn expect(holds: bool, rule: &str, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(rule, what())) }
}

fn gone(what: &str) -> Failure {
    Failure::new("history", format!("{what} is gone"))
}

/// The rows that came to those before, which must all be there still.
fn added<'r, R: PartialEq>(before: &[R], after: &'r [R]) -> Option<Vec<&'r R>> {
    let mut kept = before.iter().peekable();
    let new = after.iter().filter(|row| kept.next_if(|before| before == row).is_none()).collect();
    kept.next().is_none().then_some(new)
}

pub(crate) fn live_of(rows: &Dump, at: StepRef) -> Option<&LiveStep> {
    let found = rows.live.binary_search_by_key(&(at.task, at.number), |row| (row.task, row.number));
    found.ok().map(|at| &rows.live[at])
}

pub(crate) fn task_of(rows: &Dump, task: TaskId) -> Option<&TaskRow> {
    rows.tasks.binary_search_by_key(&task, |row| row.id).ok().map(|at| &rows.tasks[at])
}
