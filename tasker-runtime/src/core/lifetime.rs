//! How long a task may take: since when its time runs, when it is over, and who has the say then.

use tasker_types::{TaskState, Timestamp};

use super::TaskRow;
use crate::pace::minutes;
use crate::plant::{Bug, planted};

/// What the last action says that bears on the time of a task. Of two at one moment, the greater one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Say {
    /// Its time was over.
    Expired,
    /// An operator holds it back.
    Held,
    /// An operator lets it go on, and gives it its time once more.
    LetGo,
}

impl Say {
    /// The kinds of actions that bear on the time of a task.
    pub const KINDS: [&'static str; 4] = ["retry", "resume", "pause", "expire"];

    /// What an action of this kind says, where it bears on the time of its task.
    #[must_use]
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "retry" | "resume" => Some(Self::LetGo),
            "pause" => Some(Self::Held),
            "expire" => Some(Self::Expired),
            _ => None,
        }
    }
}

/// When the time of a task is over that could start at this moment, given what was said of it last; not before that, whatever
/// operators do. `None` where it may take as long as it takes. The one rule: who looks for such tasks asks it of what it read, and
/// core of the rows as they stand when the task is ended.
#[must_use]
pub fn out_of_time_at(
    task: &TaskRow,
    could_start: Timestamp,
    last: Option<(Timestamp, Say)>,
    now: Timestamp,
) -> Option<Timestamp> {
    let limit = minutes(task.pinned.template.lifecycle?.max_duration_minutes);
    let let_go = last.filter(|(_, say)| *say == Say::LetGo && !planted(Bug::LetGoForgotten));
    let since = let_go.map_or(could_start, |(at, _)| at.max(could_start)).max(task.created_at);
    match task.state {
        TaskState::Pending | TaskState::Running => Some(since + limit),
        // What ran when its time was over comes to its end, and what that made ready is held back.
        TaskState::Paused if matches!(last, Some((_, Say::Expired))) => Some(since + limit),
        // Whoever lets it go on gives it its time then.
        TaskState::Paused => Some(now + limit),
        _ => None,
    }
}
