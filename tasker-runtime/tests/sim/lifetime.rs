//! When a task may be ended because it takes too long, told from what happened to it: not by the rule that the engine goes by.

use tasker_runtime::core::{ActionRow, Dump, TaskRow};
use tasker_runtime::pace::minute;
use tasker_types::{StalenessAction, TaskId, TaskState, Timestamp};

use crate::journal::Journal;
use crate::sim::Failure;
use crate::store::short;
use crate::watch::task_of;

/// When the time of a task is over, where it has one: so long after its submit, its delay, and the last time that an operator let
/// it go on.
pub(crate) fn over_at(rows: &Dump, journal: &Journal, task: &TaskRow) -> Option<Timestamp> {
    let limit = task.pinned.template.lifecycle?;
    let of_task = || rows.actions.iter().filter(|action| action.task == task.id);
    let by_hand = |action: &&ActionRow| matches!(action.kind, "skip" | "resolve" | "complete");
    // Whoever ends a first step by hand does not wait for it.
    let delayed = task.created_at + journal.delay_of(task.id);
    let start = of_task().filter(by_hand).map(|action| action.at).chain([delayed]).min();
    let let_go = of_task().filter(|action| matches!(action.kind, "retry" | "resume")).map(|action| action.at);
    let since = let_go.chain(start).max().unwrap_or(task.created_at);
    Some(since + minute().saturating_mul(limit.max_duration_minutes))
}

/// Whether the last that was said of a task is that its time is over.
pub(crate) fn is_expired(rows: &Dump, task: TaskId) -> bool {
    let at = |kinds: &[&str]| {
        let of_kind = rows.actions.iter().filter(|action| action.task == task && kinds.contains(&action.kind));
        of_kind.map(|action| action.at).max()
    };
    at(&["expire"]).is_some_and(|expired| at(&["retry", "resume"]).is_none_or(|let_go| let_go < expired))
}

/// The engine ends a task as its template says, not before its time, and none that an operator has.
pub(crate) fn check_ended(before: &Dump, journal: &Journal, action: &ActionRow, now: Timestamp) -> Result<(), Failure> {
    let wrong = |why: String| Err(Failure::new("ended out of time", format!("t{}: {why}", short(action.task))));
    let Some(task) = task_of(before, action.task) else { return wrong("it was not there".to_owned()) };
    let Some(limit) = task.pinned.template.lifecycle else { return wrong("it has all the time".to_owned()) };
    let kind = match limit.staleness_action {
        StalenessAction::Dlq => "expire",
        StalenessAction::Cancel => "cancel",
        StalenessAction::Pause => "pause",
    };
    let may_end = match task.state {
        TaskState::Pending | TaskState::Running => true,
        TaskState::Paused => is_expired(before, action.task),
        _ => false,
    };
    if action.kind != kind || !may_end {
        return wrong(format!("it was {}, and its template says {kind}", task.state));
    }
    match over_at(before, journal, task) {
        Some(at) if at <= now => Ok(()),
        at => wrong(format!("it is {now}, and it has until {at:?}")),
    }
}
