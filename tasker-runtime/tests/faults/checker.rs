//! What the handlers' journal, the database and the clients' history say must be one story.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use tasker_runtime::core::{AttemptOutcome, Cause, Dump, ResultRow, TaskRow, check as invariants};
use tasker_runtime::store::Store;
use tasker_types::{StepNumber, TaskId, TaskState};

use crate::child::{Place, Worker};
use crate::client::{Client, History};
use crate::journal::{End, Journal, Pen, Step};

mod tests;

/// Tasks that are read at once.
const PAGE: u32 = 500;

/// The three sources.
pub(crate) struct Evidence {
    pub(crate) dump: Dump,
    /// What each task was called by who asked for it.
    pub(crate) names: Vec<(String, TaskId)>,
    pub(crate) journal: Journal,
    pub(crate) history: History,
}

/// Where the sources contradict each other, or a promise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// Something that was acknowledged, or ran, is not there.
    Lost(String),
    /// Something is there twice, or is something else than what really happened.
    Double(String),
    /// A task never ends.
    Stuck(String),
    Wrong(String),
}

impl Evidence {
    /// The end of a test whose faults are over: what is open comes to its end, or is found to be stuck; then nobody works any
    /// more, and everything that is known is compared.
    ///
    /// # Panics
    /// Something is lost, double or stuck.
    pub(crate) async fn conclude(place: &Place, client: Client, workers: Vec<Worker>) -> Self {
        let history = client.finish().await;
        drop(workers);
        let evidence = Self::gather(&*place.store().await, &Pen::of(&place.folder), history).await;
        println!("{evidence}");
        let findings = evidence.check();
        let kept = if findings.is_empty() { String::new() } else { keep(place) };
        assert!(findings.is_empty(), "{} findings, {kept}: {:#?}", findings.len(), &findings[..findings.len().min(20)]);
        evidence
    }

    /// Reads it all, when nobody works any more.
    pub(crate) async fn gather(store: &dyn Store, pen: &Pen, history: History) -> Self {
        let (mut dump, mut names) = (Dump::default(), Vec::new());
        loop {
            let page = store.dump(dump.tasks.last().map(|row| row.id), PAGE).await.unwrap();
            if page.tasks.is_empty() {
                break;
            }
            for row in &page.tasks {
                let view = store.find_task(row.id).await.unwrap().unwrap();
                names.push((view.input.correlation_id, row.id));
            }
            dump.tasks.extend(page.tasks);
            dump.live.extend(page.live);
            dump.results.extend(page.results);
            dump.attempts.extend(page.attempts);
            dump.actions.extend(page.actions);
            dump.events.extend(page.events);
        }
        Self { dump, names, journal: pen.read(), history }
    }

    /// Everything that must not be.
    pub(crate) fn check(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = invariants(&self.dump)
            .into_iter()
            .map(|found| {
                if found.invariant == 1 {
                    Finding::Double(found.to_string())
                } else {
                    Finding::Wrong(found.to_string())
                }
            })
            .collect();
        self.check_history(&mut findings);
        self.check_tasks(&mut findings);
        self.check_results(&mut findings);
        self.check_attempts(&mut findings);
        findings
    }

    /// What clients were told holds.
    fn check_history(&self, findings: &mut Vec<Finding>) {
        let mut stored: BTreeMap<&str, Vec<TaskId>> = BTreeMap::new();
        for (name, task) in &self.names {
            stored.entry(name).or_default().push(*task);
        }
        for (name, tasks) in stored.iter().filter(|(_, tasks)| tasks.len() > 1) {
            findings.push(Finding::Double(format!("{name} is stored {} times", tasks.len())));
        }
        for (name, task) in &self.history.accepted {
            if stored.remove(name.as_str()).is_none_or(|tasks| !tasks.contains(task)) {
                findings.push(Finding::Lost(format!("{name} was accepted as task {task} and is not there")));
            }
        }
        for (name, code) in &self.history.refused {
            if stored.remove(name.as_str()).is_some() {
                findings.push(Finding::Double(format!(
                    "{name} was refused with {code} and is there: who asks again has two"
                )));
            }
            if !matches!(*code, "D001" | "D003" | "D004" | "D009") {
                findings.push(Finding::Wrong(format!("{name} was refused with {code}")));
            }
        }
        findings.extend(stored.keys().map(|name| Finding::Wrong(format!("nobody was told what became of {name}"))));
        let states: BTreeMap<TaskId, TaskState> = self.dump.tasks.iter().map(|row| (row.id, row.state)).collect();
        for (task, told) in &self.history.ended {
            let state = states.get(task);
            if state != Some(told) {
                findings.push(Finding::Lost(format!("task {task} was told to be {told} and is {state:?}")));
            }
        }
        findings.extend(self.history.complaints.iter().cloned().map(Finding::Wrong));
    }

    /// Every task is over, as it should be, with a result of each step.
    fn check_tasks(&self, findings: &mut Vec<Finding>) {
        let results: BTreeSet<Step> = self.dump.results.iter().map(|row| (row.task, row.number)).collect();
        for row in &self.dump.tasks {
            match row.state {
                TaskState::Completed => {
                    let missing = row.pinned.numbers().filter(|number| !results.contains(&(row.id, *number)));
                    findings.extend(missing.map(|number| {
                        Finding::Lost(format!("task {} is completed without a result of step {number}", row.id))
                    }));
                }
                state if state.is_over() => findings.push(Finding::Wrong(format!("task {} is {state}", row.id))),
                state => findings.push(Finding::Stuck(format!("task {} is {state} for ever", row.id))),
            }
        }
    }

    /// Each result is what the handler returned in that very attempt, made of what is recorded of the steps before.
    fn check_results(&self, findings: &mut Vec<Finding>) {
        let values: BTreeMap<Step, Value> =
            self.dump.results.iter().map(|row| ((row.task, row.number), value(row))).collect();
        let tasks: BTreeMap<TaskId, &TaskRow> = self.dump.tasks.iter().map(|row| (row.id, row)).collect();
        for row in &self.dump.results {
            let step = (row.task, row.number);
            let name = format!("step {} of task {}, attempt {}", row.number, row.task, row.attempt);
            let returned: Vec<&End> = self.journal.ends(step, row.attempt).collect();
            let recorded = End::Success(values[&step].clone());
            if row.cause != Cause::Handler || returned != [&recorded] {
                findings.push(Finding::Double(format!(
                    "{name}: recorded is {recorded:?}, the handler came to {returned:?}"
                )));
            }
            let Some(task) = tasks.get(&row.task) else { continue };
            let before = ancestors(task, row.number);
            let sum: i64 = before.iter().filter_map(|number| values.get(&(row.task, *number))?["sum"].as_i64()).sum();
            if values[&step]["sum"] != sum + 1 {
                findings.push(Finding::Wrong(format!("{name}: it did not see what the steps before it returned")));
            }
        }
    }

    /// The attempts that are recorded are those that ran, and each ended as the handler did.
    fn check_attempts(&self, findings: &mut Vec<Finding>) {
        let mut recorded: BTreeMap<Step, Vec<u32>> = BTreeMap::new();
        for row in &self.dump.attempts {
            recorded.entry((row.task, row.number)).or_default().push(row.attempt);
            let ran = self.journal.ends((row.task, row.number), row.attempt).any(|end| *end == End::Retry);
            let legal = match row.outcome {
                AttemptOutcome::Lost | AttemptOutcome::Released => true,
                AttemptOutcome::Failed => ran,
                AttemptOutcome::TimedOut | AttemptOutcome::Reopened => false,
            };
            if !legal {
                findings.push(Finding::Double(format!("no handler came to this: {row:?}")));
            }
        }
        for row in self.dump.results.iter().filter(|row| row.attempt > 0) {
            recorded.entry((row.task, row.number)).or_default().push(row.attempt);
        }
        for (step, attempts) in &mut recorded {
            attempts.sort_unstable();
            let name = format!("step {} of task {}", step.1, step.0);
            for pair in attempts.windows(2).filter(|pair| pair[0] == pair[1]) {
                findings.push(Finding::Double(format!("{name}: attempt {} is recorded twice", pair[0])));
            }
            attempts.dedup();
            if attempts.iter().zip(1..).any(|(attempt, wanted)| *attempt != wanted) {
                findings.push(Finding::Lost(format!("{name}: an attempt is missing in {attempts:?}")));
            }
        }
        for (step, began) in &self.journal.began {
            let name = format!("step {} of task {}", step.1, step.0);
            let mut once = BTreeSet::new();
            for (attempt, _) in began {
                if !once.insert(*attempt) {
                    findings.push(Finding::Double(format!("{name}: attempt {attempt} ran twice")));
                }
                if recorded.get(step).is_none_or(|recorded| !recorded.contains(attempt)) {
                    findings.push(Finding::Lost(format!("{name}: attempt {attempt} ran and is not recorded")));
                }
            }
        }
    }

    /// Outcomes that came too late, and were refused: attempts that somebody else had taken over.
    pub(crate) fn refused(&self) -> Vec<&End> {
        let taken_over: BTreeSet<(TaskId, _, u32)> = self
            .dump
            .attempts
            .iter()
            .filter(|row| matches!(row.outcome, AttemptOutcome::Lost | AttemptOutcome::Released))
            .map(|row| (row.task, row.number, row.attempt))
            .collect();
        let stale = self.journal.stale.iter().flat_map(|(step, attempts)| {
            let attempts: BTreeSet<u32> = attempts.iter().copied().collect();
            attempts.into_iter().map(|attempt| (*step, attempt))
        });
        stale
            .filter(|(step, attempt)| taken_over.contains(&(step.0, step.1, *attempt)))
            .flat_map(|(step, attempt)| self.journal.ends(step, attempt).take(1))
            .collect()
    }
}

/// Copies journal and log to where they outlive the test.
fn keep(place: &Place) -> String {
    let folder = std::env::temp_dir().join(format!("tasker-faults-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["journal", "log", "errors"] {
        // Not every test has each of them.
        let _ = std::fs::copy(place.folder.join(name), folder.join(name));
    }
    format!("journal and log are in {}", folder.display())
}

fn value(row: &ResultRow) -> Value {
    row.result.as_deref().map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default()
}

fn ancestors(task: &TaskRow, number: StepNumber) -> BTreeSet<StepNumber> {
    let mut found = BTreeSet::new();
    let mut open = vec![number];
    while let Some(number) = open.pop() {
        open.extend(task.pinned.graph().parents(number).iter().copied().filter(|parent| found.insert(*parent)));
    }
    found
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wanted: AttemptOutcome| self.dump.attempts.iter().filter(|row| row.outcome == wanted).count();
        let late = self.refused();
        let kind = |wanted: fn(&End) -> bool| late.iter().filter(|end| wanted(end)).count();
        write!(
            f,
            "{} tasks, {} results, attempts: {} failed, {} lost, {} given back; {} requests refused; late outcomes refused: \
             {} ({} of a success, {} of a retry, {} of a failure)",
            self.dump.tasks.len(),
            self.dump.results.len(),
            count(AttemptOutcome::Failed),
            count(AttemptOutcome::Lost),
            count(AttemptOutcome::Released),
            self.history.refused.len(),
            late.len(),
            kind(|end| matches!(end, End::Success(_))),
            kind(|end| matches!(end, End::Retry)),
            kind(|end| matches!(end, End::Failure)),
        )
    }
}
