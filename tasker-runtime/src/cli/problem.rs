//! What went wrong, where, why, and what to do next: one record for people and programs.

use serde_json::{Value, json};

use super::exit::Exit;
use crate::app::settings::BadSetting;
use crate::core::Refusal;
use crate::engine::Error;
use crate::store::StoreError;

/// Why a command did not do what it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// Its stable code, which `explain` knows.
    pub(crate) code: &'static str,
    /// What happened, where and why.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) help: Option<String>,
    /// The findings that led to it.
    findings: Option<Box<Attached>>,
    /// How the command ends.
    pub(crate) exit: Exit,
    /// Nobody is left to be told.
    pub(crate) silent: bool,
}

/// Findings that belong to a problem.
#[derive(Debug, Clone)]
struct Attached {
    /// For people, with their snippets.
    rendered: String,
    /// For programs.
    records: Value,
}

impl Problem {
    /// A problem of this code.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, findings: None, exit: Exit::of_code(code), silent: false }
    }

    /// Says what to do next.
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the findings that led to it: for people, and for programs.
    pub(crate) fn with_findings(mut self, rendered: String, records: Vec<Value>) -> Self {
        self.findings = Some(Box::new(Attached { rendered, records: records.into() }));
        self
    }

    /// Nothing more is to be said of it: the data told it all.
    pub(crate) fn silent(mut self, silent: bool) -> Self {
        self.silent = silent;
        self
    }

    /// The findings, as people read them.
    pub(crate) fn rendered(&self) -> &str {
        self.findings.as_ref().map_or("", |findings| findings.rendered.trim_end())
    }

    /// The reader of standard output went away: that is how a pipe ends, and no error.
    pub(crate) fn of_output(error: &std::io::Error) -> Self {
        let mut problem = Self::new("E316", format!("the output cannot be written: {error}"));
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            problem.silent = true;
            problem.exit = Exit::Ok;
        }
        problem
    }

    /// The form for programs.
    pub(crate) fn to_json(&self, program: &str) -> Value {
        let mut record = json!({
            "code": self.code,
            "message": self.message,
            "help": self.help,
            "docs": format!("{program} explain {}", self.code),
        });
        if let (Some(findings), Some(record)) = (&self.findings, record.as_object_mut()) {
            record.insert("problems".to_owned(), findings.records.clone());
        }
        record
    }
}

impl From<BadSetting> for Problem {
    fn from(bad: BadSetting) -> Self {
        Self { help: bad.help, ..Self::new(bad.code, bad.message) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let help = match &error {
            StoreError::Unavailable(_) => "nothing was changed; try again in a moment",
            StoreError::Unknown(_) => "look whether it happened before you do it again",
            StoreError::Full(_) => "free some space on the disk; nothing was changed",
            StoreError::ReadOnly(_) => "a file and its folder must be writable, a server must take writes",
            StoreError::Newer { .. } => "a newer version of the program has used this database; use that one",
            StoreError::Locked(_) => "stop the other process, or name another database with --db",
            StoreError::Open(_) => "name another database with --db, DATABASE_URL or `database_url` in tasker.toml",
            _ => return Self::new(error.code(), error.to_string()),
        };
        Self::new(error.code(), error.to_string()).with_help(help)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Refused(refusal) => refusal.into(),
            Error::NoReason(_) => Self::new(error.code(), error.to_string()).with_help("say why with --reason"),
            other => Self::new(other.code(), other.to_string()),
        }
    }
}
