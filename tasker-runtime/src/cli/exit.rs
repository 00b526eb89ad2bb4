//! How a command ends, as the calling shell sees it.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it should.
    Ok = 0,
    /// It did not, for a reason that has no number of its own.
    Other = 1,
    /// What was typed means nothing, or is not enough to know what is meant.
    Usage = 2,
    /// What it is about does not exist.
    NotFound = 3,
    /// What it was given is wrong.
    Invalid = 4,
    /// The database cannot be reached or used.
    Unreachable = 5,
    /// It is not allowed.
    Denied = 6,
    /// Something else stands in the way.
    Conflict = 7,
    /// The task failed.
    TaskFailed = 8,
    /// The task was cancelled.
    TaskCancelled = 9,
    /// The wait was over before the task was.
    TimedOut = 124,
    /// A signal ended the command.
    Interrupted = 130,
}

impl Exit {
    /// What `main` returns.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }

    /// The end of a command that went wrong with this code.
    pub(crate) fn of_code(code: &str) -> Self {
        match code {
            "E102" | "E110" | "E201" | "E202" | "E306" | "E310" | "E311" | "E312" | "E327" | "E328" => Self::NotFound,
            "E203" | "E204" | "E205" | "E213" | "E214" | "E216" | "E217" | "E301" | "E302" | "E303" | "E304"
            | "E307" | "E308" | "E314" | "E319" => Self::Invalid,
            "E212" | "E305" | "E309" | "E313" | "E324" | "E325" => Self::Usage,
            "D001" | "D002" | "D005" | "D009" => Self::Unreachable,
            "D004" => Self::Denied,
            "D008" | "E101" | "E103" | "E104" | "E105" | "E106" | "E109" | "E111" | "E112" | "E315" | "E326"
            | "E329" => Self::Conflict,
            "E320" => Self::TaskFailed,
            "E321" => Self::TaskCancelled,
            "E322" => Self::TimedOut,
            "E323" => Self::Interrupted,
            code if code.starts_with('T') => Self::Invalid,
            _ => Self::Other,
        }
    }
}
