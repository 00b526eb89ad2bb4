//! What handlers say they did: a file outside the database, written by single appends that survive `kill -9`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tasker_types::{StepNumber, TaskId};

/// A step of a task.
pub(crate) type Step = (TaskId, StepNumber);

/// What an attempt of a handler came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    Success(Value),
    /// It failed, and another try makes sense.
    Retry,
    /// It failed for good.
    Failure,
}

/// The way to the file.
#[derive(Debug, Clone)]
pub(crate) struct Pen(PathBuf);

impl Pen {
    pub(crate) fn of(place: &Path) -> Self {
        Self(place.join("journal"))
    }

    pub(crate) fn begin(&self, step: Step, attempt: u32) {
        self.line(&format!("begin {} {} {attempt} {}", step.0, step.1, std::process::id()));
    }

    pub(crate) fn end(&self, step: Step, attempt: u32, end: &End) {
        let what = match end {
            End::Success(value) => value.to_string(),
            End::Retry => "retry".to_owned(),
            End::Failure => "failure".to_owned(),
        };
        self.line(&format!("end {} {} {attempt} {what}", step.0, step.1));
    }

    /// The engine refused an outcome as stale.
    pub(crate) fn stale(&self, task: &str, number: &str, attempt: &str) {
        self.line(&format!("stale {task} {number} {attempt} -"));
    }

    /// A single `write` to a file opened for appending is never torn by the death of the process.
    fn line(&self, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0).unwrap();
        file.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// How long the file is: a cheap sign of progress.
    pub(crate) fn length(&self) -> u64 {
        std::fs::metadata(&self.0).map_or(0, |meta| meta.len())
    }

    pub(crate) fn read(&self) -> Journal {
        Journal::parse(&std::fs::read_to_string(&self.0).unwrap_or_default())
    }
}

/// The attempts of each step: those that began, with the process that ran them, those that came to their end, and those
/// whose outcome was refused as stale, each in the order of the file.
#[derive(Debug, Default, Clone)]
pub(crate) struct Journal {
    pub(crate) began: BTreeMap<Step, Vec<(u32, u32)>>,
    pub(crate) ended: BTreeMap<Step, Vec<(u32, End)>>,
    pub(crate) stale: BTreeMap<Step, Vec<u32>>,
}

impl Journal {
    pub(crate) fn parse(text: &str) -> Self {
        let mut journal = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(5, ' ').collect();
            let [word, task, number, attempt, rest] = words[..] else { panic!("a torn line: {line:?}") };
            let step = (task.parse().unwrap(), StepNumber(number.parse().unwrap()));
            let attempt = attempt.parse().unwrap();
            match (word, rest) {
                ("begin", pid) => journal.began.entry(step).or_default().push((attempt, pid.parse().unwrap())),
                ("stale", _) => journal.stale.entry(step).or_default().push(attempt),
                ("end", "retry") => journal.ended.entry(step).or_default().push((attempt, End::Retry)),
                ("end", "failure") => journal.ended.entry(step).or_default().push((attempt, End::Failure)),
                ("end", value) => {
                    let value = End::Success(serde_json::from_str(value).unwrap());
                    journal.ended.entry(step).or_default().push((attempt, value));
                }
                _ => panic!("a line of its own: {line:?}"),
            }
        }
        journal
    }

    /// What this attempt came to, as often as it did.
    pub(crate) fn ends(&self, step: Step, attempt: u32) -> impl Iterator<Item = &End> {
        self.ended.get(&step).into_iter().flatten().filter(move |(of, _)| *of == attempt).map(|(_, end)| end)
    }
}
