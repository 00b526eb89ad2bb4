//! What must be true of the rows at any moment, checked by counting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tasker_types::{FailureStrategy, StepNumber, StepState, TaskId, TaskState};

use super::event::End;
use super::row::{AttemptOutcome, Cause};
use super::{
    ActionRow, AttemptRow, BatchRow, CheckpointRow, EventRow, IdentityRow, LiveStep, Rerun, RerunRow, ResultRow,
    TaskRow, chosen,
};

/// All rows of some tasks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dump {
    /// The tasks, by id.
    pub tasks: Vec<TaskRow>,
    /// Their live rows, by (task, number).
    pub live: Vec<LiveStep>,
    /// Their results, by (task, number).
    pub results: Vec<ResultRow>,
    /// Their attempts, by (task, number, attempt).
    pub attempts: Vec<AttemptRow>,
    /// What operators did, by (task, time).
    pub actions: Vec<ActionRow>,
    /// Their batches, by (task, number).
    pub batches: Vec<BatchRow>,
    /// How far their steps had come, by (task, number).
    pub checkpoints: Vec<CheckpointRow>,
    /// Which of them run another task again, by task.
    pub reruns: Vec<RerunRow>,
    /// The identities that mean them, in order.
    pub identities: Vec<IdentityRow>,
    /// Their events, by (task, position).
    pub events: Vec<EventRow>,
}

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's number in docs.
    pub invariant: u8,
    /// The task.
    pub task: TaskId,
    /// The step, where it concerns one.
    pub number: Option<StepNumber>,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: task {}", self.invariant, self.task)?;
        if let Some(number) = self.number {
            write!(f, ", step {number}")?;
        }
        write!(f, ": {}", self.what)
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether a decision did not choose the step.
fn unchosen(row: &ResultRow) -> bool {
    row.outcome == StepState::Skipped && row.cause == Cause::Decision
}

struct OfTask<'d> {
    task: &'d TaskRow,
    live: BTreeMap<StepNumber, &'d LiveStep>,
    results: BTreeMap<StepNumber, &'d ResultRow>,
    attempts: BTreeMap<StepNumber, Vec<&'d AttemptRow>>,
    actions: Vec<&'d ActionRow>,
    batches: Vec<BatchRow>,
    checkpoints: Vec<&'d CheckpointRow>,
    rerun: Option<&'d RerunRow>,
    events: Vec<&'d EventRow>,
    found: Vec<Violation>,
}

/// Everything in `dump` that must not be.
#[must_use]
pub fn check(dump: &Dump) -> Vec<Violation> {
    let mut tasks: BTreeMap<TaskId, OfTask<'_>> = dump
        .tasks
        .iter()
        .map(|task| {
            let of = OfTask {
                task,
                live: BTreeMap::new(),
                results: BTreeMap::new(),
                attempts: BTreeMap::new(),
                actions: Vec::new(),
                batches: Vec::new(),
                checkpoints: Vec::new(),
                rerun: None,
                events: Vec::new(),
                found: Vec::new(),
            };
            (task.id, of)
        })
        .collect();
    let mut orphans = Vec::new();
    let orphan =
        |task, number, what: &str| Violation { invariant: 18, task, number: Some(number), what: what.to_owned() };
    for row in &dump.live {
        match tasks.get_mut(&row.task) {
            Some(of) => drop(of.live.insert(row.number, row)),
            None => orphans.push(orphan(row.task, row.number, "a live row without its task")),
        }
    }
    for row in &dump.results {
        match tasks.get_mut(&row.task) {
            Some(of) => {
                if of.results.insert(row.number, row).is_some() {
                    of.report(1, Some(row.number), "two outcomes are recorded");
                }
            }
            None => orphans.push(orphan(row.task, row.number, "a result without its task")),
        }
    }
    for row in &dump.attempts {
        match tasks.get_mut(&row.task) {
            Some(of) => of.attempts.entry(row.number).or_default().push(row),
            None => orphans.push(orphan(row.task, row.number, "an attempt without its task")),
        }
    }
    for row in &dump.actions {
        if let Some(of) = tasks.get_mut(&row.task) {
            of.actions.push(row);
        }
    }
    for row in &dump.batches {
        match tasks.get_mut(&row.task) {
            Some(of) => of.batches.push(*row),
            None => orphans.push(orphan(row.task, row.number, "a batch without its task")),
        }
    }
    for row in &dump.checkpoints {
        match tasks.get_mut(&row.task) {
            Some(of) => of.checkpoints.push(row),
            None => orphans.push(orphan(row.task, row.number, "a checkpoint without its task")),
        }
    }
    for row in &dump.reruns {
        match tasks.get_mut(&row.task) {
            Some(of) => of.rerun = Some(row),
            None => orphans.push(orphan(row.task, row.from, "a rerun without its task")),
        }
    }
    let mut known = BTreeSet::new();
    for row in &dump.identities {
        let what = if !known.insert(row.identity) {
            "an identity means two tasks"
        } else if !tasks.contains_key(&row.task) {
            "an identity means a task that there is not"
        } else {
            continue;
        };
        orphans.push(Violation { invariant: 15, task: row.task, number: None, what: what.to_owned() });
    }
    for row in &dump.events {
        // One without its task waits to be delivered: pruning leaves none, an older program may.
        if let Some(of) = tasks.get_mut(&row.task) {
            of.events.push(row);
        }
    }
    for of in tasks.values_mut() {
        of.check();
        orphans.append(&mut of.found);
    }
    orphans
}

impl OfTask<'_> {
    fn report(&mut self, invariant: u8, number: Option<StepNumber>, what: impl Into<String>) {
        self.found.push(Violation { invariant, task: self.task.id, number, what: what.into() });
    }

    fn expect(&mut self, holds: bool, invariant: u8, number: Option<StepNumber>, what: impl FnOnce() -> String) {
        if !holds {
            self.report(invariant, number, what());
        }
    }

    fn check(&mut self) {
        let pinned = self.task.pinned.clone();
        let known = |number: StepNumber| match pinned.worker_index(number) {
            Some(index) => self.batch(pinned.template_step(number)).is_some_and(|batch| index < batch.next),
            None => number.index() < pinned.steps.len(),
        };
        let strangers: Vec<StepNumber> = self
            .live
            .keys()
            .chain(self.results.keys())
            .chain(self.attempts.keys())
            .copied()
            .filter(|&n| !known(n))
            .collect();
        for number in strangers {
            self.report(18, Some(number), "its template has no such step");
        }
        self.check_counters();
        let workers: BTreeSet<StepNumber> = self
            .batches
            .iter()
            .flat_map(|batch| (0..batch.next).filter_map(|index| pinned.worker(batch.number, index)))
            .collect();
        self.check_batches(&workers);
        self.check_checkpoints();
        self.check_rerun();
        self.check_events();
        for number in pinned.numbers().chain(workers) {
            self.check_place(number);
            self.check_attempts(number);
            self.check_parents(number);
            self.check_skipped(number);
        }
    }

    /// A durable event exists iff the transaction was committed that ended its attempt.
    fn check_events(&mut self) {
        let pinned = self.task.pinned.clone();
        if !pinned.publishes() && self.events.is_empty() {
            return;
        }
        // What was taken over from another task was published there.
        let end_of = |row: &ResultRow| if self.is_copied(row) { None } else { End::of_result(row) };
        let results = self.results.values().map(|row| ((row.number, row.attempt), end_of(row)));
        let attempts = self.attempts.values().flatten().map(|row| ((row.number, row.attempt), End::of_attempt(row)));
        // One number may have two ends: an attempt failed, and before the next one its step was ended by hand, or out of time.
        let mut ends: BTreeMap<(StepNumber, u32), Vec<Option<End>>> = BTreeMap::new();
        results.chain(attempts).for_each(|(of, end)| ends.entry(of).or_default().push(end));
        let mut found: BTreeMap<(StepNumber, u32, &str), usize> = BTreeMap::new();
        for &event in &self.events {
            if let Some(number) = event.number {
                *found.entry((number, event.attempt, &*event.name)).or_default() += 1;
            }
        }
        let mut wrong = Vec::new();
        for (&(number, attempt), ends) in ends.iter().filter(|(_, ends)| ends.iter().any(Option::is_some)) {
            // Of an attempt whose result was reopened it is not known any more how it ended.
            let reopened = ends.contains(&None);
            let stored = || {
                let specs = &pinned.step(number).definition.publishes_events;
                specs.iter().filter(|spec| spec.delivery_mode.is_stored())
            };
            let names: BTreeSet<&str> = stored().map(|spec| &*spec.name).collect();
            for name in names {
                // What a publisher holds back is not there.
                if stored().any(|spec| spec.name == name && spec.publisher.is_some()) {
                    continue;
                }
                let meets = |end: &End| stored().filter(|spec| spec.name == name && end.meets(spec.condition)).count();
                let due: usize = ends.iter().flatten().map(meets).sum();
                let found = found.get(&(number, attempt, name)).copied().unwrap_or_default();
                if found < due || found > due && !reopened {
                    let what = format!("attempt {attempt} published {found} events `{name}` and should have {due}");
                    wrong.push((number, what));
                }
            }
        }
        for event in &self.events {
            let Some(number) = event.number.filter(|_| event.attempt > 0) else { continue };
            if !ends.contains_key(&(number, event.attempt)) {
                wrong.push((
                    number,
                    format!("event `{}` is of attempt {}, which has not ended", event.name, event.attempt),
                ));
            }
        }
        for (number, what) in wrong {
            self.report(16, Some(number), what);
        }
    }

    fn check_counters(&mut self) {
        let task = self.task;
        let closed = self.results.values().filter(|row| row.outcome.decides_successors()).count();
        // Workers take the place of the step that they are made after.
        let made: usize = self.batches.iter().map(|batch| batch.count as usize - 1).sum();
        let open = (task.pinned.steps.len() + made).saturating_sub(closed);
        self.expect(task.open_steps as usize == open, 9, None, || {
            format!("open_steps is {}, counted {open}", task.open_steps)
        });
        let runnable = self.live.values().filter(|row| row.state != StepState::Pending).count();
        self.expect(task.runnable as usize == runnable, 9, None, || {
            format!("runnable is {}, counted {runnable}", task.runnable)
        });
        if task.state.is_over() {
            self.expect(runnable == 0, 7, None, || format!("it is {}, and {runnable} steps may still run", task.state));
            self.expect(task.finished_at.is_some(), 11, None, || "it is over and has no end".into());
            self.expect(task.state != TaskState::Completed || open == 0, 9, None, || {
                format!("it is completed, and {open} steps are open")
            });
        } else {
            self.expect(runnable > 0 || task.state == TaskState::Paused, 8, None, || {
                format!("it is {}, and nothing of it will ever run", task.state)
            });
        }
        let own = |row: &ResultRow| row.attempt > 0 && !self.is_copied(row);
        let started = self.live.values().any(|row| row.attempt > 0) || self.results.values().any(|row| own(row));
        self.expect(task.state != TaskState::Pending || !started, 6, None, || {
            "it is pending, and a step of it has started".into()
        });
        let acted = self.actions.iter().any(|action| action.kind != Rerun::KIND);
        let cancelled = matches!(task.state, TaskState::Cancelling | TaskState::Cancelled);
        self.expect(!cancelled || acted, 6, None, || format!("it is {}, and nobody asked for that", task.state));
    }

    fn check_place(&mut self, number: StepNumber) {
        let at = Some(number);
        if self.live.contains_key(&number) {
            self.expect(!self.results.contains_key(&number), 11, at, || "it is live and over".into());
        }
        if let Some(row) = self.live.get(&number).copied() {
            let running = row.state == StepState::Running;
            self.expect(running == row.claimed_by.is_some(), 4, at, || {
                format!("it is {}, claimed by {:?}", row.state, row.claimed_by)
            });
            self.expect(running == row.claimed_at.is_some(), 4, at, || {
                format!("it is {}, claimed at {:?}", row.state, row.claimed_at)
            });
            self.expect(!row.state.is_over(), 11, at, || format!("a live row is {}", row.state));
            self.expect((row.state == StepState::Pending) == (row.unmet > 0), 10, at, || {
                format!("it is {} with {} open parents", row.state, row.unmet)
            });
            let waits = matches!(row.state, StepState::Ready | StepState::WaitingForRetry);
            let (held, paused) = (row.held, self.task.state == TaskState::Paused);
            self.expect(if waits { held == paused } else { !held }, 8, at, || {
                format!("it is {}, held: {held}, and its task is {}", row.state, self.task.state)
            });
            self.expect(!running || row.attempt > 0, 2, at, || "it runs without an attempt".into());
            self.expect(row.claimed_at.is_none_or(|time| time >= row.ready_at), 17, at, || {
                "it was claimed before it was ready".into()
            });
        }
        if let Some(row) = self.results.get(&number).copied() {
            self.expect(row.outcome.is_over(), 11, at, || format!("a result says {}", row.outcome));
            let by_hand = row.cause == Cause::Operator;
            self.expect((row.outcome == StepState::Completed) == row.result.is_some() || by_hand, 12, at, || {
                format!("it is {}, its result is {:?}", row.outcome, row.result)
            });
            self.expect(row.claimed_at.is_none_or(|time| time <= row.finished_at), 11, at, || {
                "it ended before it was claimed".into()
            });
        }
    }

    fn check_attempts(&mut self, number: StepNumber) {
        let at = Some(number);
        let policy = self.task.pinned.step(number).retry;
        let rows = self.attempts.get(&number).cloned().unwrap_or_default();
        let last = self
            .live
            .get(&number)
            .map(|row| row.attempt)
            .or_else(|| self.results.get(&number).map(|row| row.attempt))
            .unwrap_or(0);
        let mut seen = BTreeSet::new();
        for row in &rows {
            self.expect(seen.insert(row.attempt), 2, at, || format!("attempt {} is recorded twice", row.attempt));
            self.expect(row.attempt <= last, 2, at, || {
                format!("attempt {} is recorded, the last one was {last}", row.attempt)
            });
        }
        let ended_by_handler = self.results.get(&number).is_some_and(|row| row.attempt > 0);
        if ended_by_handler {
            let twice = rows.iter().any(|row| {
                row.attempt == last
                    && row.outcome != AttemptOutcome::Released
                    && self.results[&number].cause == Cause::Handler
            });
            self.expect(!twice, 1, at, || format!("attempt {last} ended twice"));
        }
        let since = rows.iter().rposition(|row| row.outcome == AttemptOutcome::Reopened).map_or(0, |found| found + 1);
        let count = |outcomes: &[AttemptOutcome]| {
            u32::try_from(rows[since..].iter().filter(|row| outcomes.contains(&row.outcome)).count())
                .unwrap_or(u32::MAX)
        };
        let (failures, losses) =
            (count(&[AttemptOutcome::Failed, AttemptOutcome::TimedOut]), count(&[AttemptOutcome::Lost]));
        self.expect(failures < policy.max_attempts.max(1), 2, at, || {
            format!("{failures} attempts failed of at most {}", policy.max_attempts)
        });
        self.expect(losses < policy.max_losses.max(1), 2, at, || {
            format!("{losses} attempts were lost of at most {}", policy.max_losses)
        });
        if let Some(row) = self.live.get(&number).copied() {
            self.expect((row.failures, row.losses) == (failures, losses), 2, at, || {
                format!(
                    "it counts {} failures and {} losses, recorded are {failures} and {losses}",
                    row.failures, row.losses
                )
            });
            let backoff = rows.last().and_then(|last| last.retry_at);
            if row.state == StepState::WaitingForRetry {
                // One that was never tried waits for the start that its task was submitted for.
                let starts_later = row.attempt == 0 && self.task.pinned.parents(number).is_empty();
                let waits_its_time = backoff.map_or(starts_later, |backoff| row.ready_at >= backoff);
                self.expect(waits_its_time, 17, at, || "it will be ready before its backoff is over".into());
            }
        }
    }

    fn check_parents(&mut self, number: StepNumber) {
        let at = Some(number);
        let pinned = self.task.pinned.clone();
        let parents = pinned.parents(number);
        let edges = self.edges(parents);
        let met = edges.iter().filter(|parent| self.is_decided(**parent)).count();
        let parents = &edges[..];
        if let Some(row) = self.live.get(&number).copied() {
            let held_up = u32::from(self.is_held_up(number) && row.state == StepState::Pending) as usize;
            let unmet = parents.len() - met + held_up;
            self.expect(row.unmet as usize == unmet, 10, at, || {
                format!("it waits for {} parents, counted {unmet}", row.unmet)
            });
        } else if !self.results.contains_key(&number) && self.batch(number).is_none() {
            let gone =
                matches!(self.task.state, TaskState::Cancelling | TaskState::Cancelled | TaskState::ResolvedManually);
            self.expect(gone || (met == 0 && !parents.is_empty()), 10, at, || {
                format!("{met} parents are decided, and it has no live row")
            });
        }
        let ran = self.results.get(&number).is_some_and(|row| row.attempt > 0)
            || self.live.get(&number).is_some_and(|row| row.attempt > 0);
        self.expect(!ran || met == parents.len(), 3, at, || {
            format!("it ran when {met} of {} parents were decided", parents.len())
        });
        let (satisfied, joins) = (self.satisfied(parents), pinned.step(number).joins());
        let may_run = if joins { satisfied > 0 || parents.is_empty() } else { satisfied == parents.len() };
        self.expect(!ran || may_run, 3, at, || {
            format!("it ran when {satisfied} of {} parents were satisfied", parents.len())
        });
    }

    /// Whom a step waits for that depends on these: workers in the place of the step that they are made after. Those that were
    /// not begun stand as that step, which is never decided then.
    fn edges(&self, parents: &[StepNumber]) -> Vec<StepNumber> {
        let pinned = &self.task.pinned;
        let workers = |batch: BatchRow| {
            (0..batch.count).map(move |index| pinned.worker(batch.number, index).unwrap_or(batch.number))
        };
        let each = |&parent: &StepNumber| match self.batch(parent) {
            Some(batch) => workers(batch).collect(),
            None => vec![parent],
        };
        parents.iter().flat_map(each).collect()
    }

    fn is_decided(&self, step: StepNumber) -> bool {
        self.results.get(&step).is_some_and(|row| row.outcome.decides_successors())
    }

    fn batch(&self, of: StepNumber) -> Option<BatchRow> {
        self.batches.iter().copied().find(|batch| batch.number == of)
    }

    /// Whether the step is a worker of a batch that stopped because another one failed.
    fn is_held_up(&self, number: StepNumber) -> bool {
        let stopped = |batch: BatchRow| batch.failed > 0;
        self.task.pinned.failure_strategy(number) == Some(FailureStrategy::FailFast)
            && self.batch(self.task.pinned.template_step(number)).is_some_and(stopped)
    }

    /// A batch counts what was begun, what is under way and what failed.
    fn check_batches(&mut self, workers: &BTreeSet<StepNumber>) {
        let pinned = self.task.pinned.clone();
        for batch in self.batches.clone() {
            let at = Some(batch.number);
            let of = |number: &StepNumber| pinned.template_step(*number) == batch.number;
            let under_way = workers.iter().filter(|number| of(number) && self.live.contains_key(number)).count();
            let failed =
                |number: &StepNumber| self.results.get(number).is_some_and(|row| row.outcome == StepState::Failed);
            let failed = workers.iter().filter(|number| of(number) && failed(number)).count();
            self.expect(batch.count > 0 && batch.next <= batch.count, 14, at, || {
                format!("{} of {} workers were begun", batch.next, batch.count)
            });
            self.expect(
                !self.results.contains_key(&batch.number) && !self.live.contains_key(&batch.number),
                14,
                at,
                || "workers are made after a step that is there itself".into(),
            );
            let gone =
                matches!(self.task.state, TaskState::Cancelling | TaskState::Cancelled | TaskState::ResolvedManually);
            self.expect(gone || (batch.in_flight, batch.failed) == (to_u32(under_way), to_u32(failed)), 14, at, || {
                let (counted, noted) = ((under_way, failed), (batch.in_flight, batch.failed));
                format!("under way and failed are {counted:?} of its workers, noted are {noted:?}")
            });
            let limit = pinned
                .worker(batch.number, 0)
                .and_then(|first| pinned.batch_of(first))
                .and_then(|spec| spec.parallelism);
            let runs = |number: &StepNumber| self.live.get(number).is_some_and(|row| row.state == StepState::Running);
            let running = workers.iter().filter(|number| of(number) && runs(number)).count();
            // A retry takes up all that failed meanwhile, so only at the first go is the bound one of what is begun.
            // So does a rerun.
            let reopened = self.rerun.is_some()
                || self.attempts.values().flatten().any(|row| row.outcome == AttemptOutcome::Reopened);
            self.expect(reopened || limit.is_none_or(|limit| running <= limit as usize), 14, at, || {
                format!("{running} workers run, of at most {limit:?}")
            });
        }
    }

    /// A checkpoint was saved by an attempt of its step, while that attempt held the claim.
    fn check_checkpoints(&mut self) {
        for row in self.checkpoints.clone() {
            let (number, at) = (row.number, Some(row.number));
            let live = self.live.get(&number).map(|live| live.attempt);
            let over = self.results.get(&number).copied();
            let last = live.or(over.map(|over| over.attempt)).unwrap_or(0);
            self.expect((1..=last).contains(&row.attempt), 5, at, || {
                format!("attempt {} saved how far it had come, the last one was {last}", row.attempt)
            });
            let tried = self.attempts.get(&number).into_iter().flatten();
            let tried = tried.filter(|tried| tried.attempt == row.attempt).map(|tried| tried.finished_at);
            // An operator may end by hand later what waits for its retry.
            let over = over.filter(|over| over.attempt == row.attempt && over.cause != Cause::Operator);
            let ended = tried.chain(over.map(|over| over.finished_at)).max();
            self.expect(ended.is_none_or(|ended| row.saved_at <= ended), 5, at, || {
                format!("attempt {} saved how far it had come when it was over", row.attempt)
            });
        }
    }

    /// A rerun was asked for by somebody.
    fn check_rerun(&mut self) {
        let Some(rerun) = self.rerun else { return };
        let at = Some(rerun.from);
        let asked = self.actions.iter().any(|action| action.id == rerun.action && action.kind == Rerun::KIND);
        self.expect(asked, 6, at, || "it runs another task again, and nobody asked for that".into());
        self.expect(rerun.source != rerun.task, 18, at, || "it runs itself again".into());
    }

    /// Whether the result may have been taken over from the task that this one runs again.
    fn is_copied(&self, row: &ResultRow) -> bool {
        self.rerun.is_some_and(|rerun| rerun.from != row.number) && row.finished_at <= self.task.created_at
    }

    /// How many of these steps satisfy what depends on them: all that are decided, but those that no decision chose.
    fn satisfied(&self, steps: &[StepNumber]) -> usize {
        let satisfies = |step: &&StepNumber| {
            self.results.get(step).is_some_and(|row| row.outcome.decides_successors() && !unchosen(row))
        };
        steps.iter().filter(satisfies).count()
    }

    /// A step is skipped exactly if it has a reason to be.
    fn check_skipped(&mut self, number: StepNumber) {
        let at = Some(number);
        let pinned = self.task.pinned.clone();
        let parents = pinned.parents(number);
        let joins = pinned.step(number).joins();
        let skipped_parents =
            parents.iter().filter(|step| self.results.get(step).is_some_and(|row| unchosen(row))).count();
        let left_out = !joins && parents.iter().any(|&parent| self.left_out(parent, number));
        let must = if joins {
            skipped_parents == parents.len() && !parents.is_empty()
        } else {
            skipped_parents > 0 || left_out
        };
        let is_skipped = self.results.get(&number).is_some_and(|row| unchosen(row));
        // The last outcomes of a task that is being cancelled change nothing else.
        let gone = matches!(self.task.state, TaskState::Cancelling | TaskState::Cancelled);
        self.expect(must == is_skipped || (must && gone), 13, at, || {
            format!("{skipped_parents} of its parents are skipped, {left_out} that a decision left it out, {is_skipped} that it is skipped")
        });
        let Some(row) = self.results.get(&number).copied().filter(|row| row.outcome == StepState::Skipped) else {
            return;
        };
        let reason = match row.cause {
            Cause::Decision | Cause::Operator => true,
            Cause::Skippable => pinned.is_skipped_over(number) && row.attempt > 0,
            // There was no batch for it.
            Cause::Handler => number.index() < pinned.steps.len() && pinned.step(number).is_batch_worker(),
            Cause::Losses => false,
        };
        self.expect(reason, 13, at, || "it is skipped without a reason".into());
    }

    /// Whether the decision `parent` chose other steps.
    fn left_out(&self, parent: StepNumber, child: StepNumber) -> bool {
        let pinned = &self.task.pinned;
        if !pinned.step(parent).decides() {
            return false;
        }
        let Some(result) = self.results.get(&parent).and_then(|row| row.result.as_deref()) else { return false };
        let read = serde_json::from_str(result).ok();
        read.and_then(|value| chosen(pinned, parent, &value).ok()).is_none_or(|chosen| !chosen.contains(&child))
    }
}
