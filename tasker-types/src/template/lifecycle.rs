//! How long a task may take as a whole.

use serde::{Deserialize, Serialize};

use super::codes;
use super::fields::{Fields, Reading};
use super::keys::LIFECYCLE;
use super::scalar::quoted;
use crate::suggest::nearest;

/// The longest that a task can be given: ten years.
pub(super) const MAX_MINUTES: u64 = 10 * 366 * 24 * 60;

/// How long a task may take, and what becomes of one that takes longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// From its submit, or from the last time that an operator retried or resumed it, in minutes.
    pub max_duration_minutes: u32,
    /// What becomes of it then.
    #[serde(default)]
    pub staleness_action: StalenessAction,
}

/// What becomes of a task that takes too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StalenessAction {
    /// It becomes a dead letter: what is ready or waits fails, what runs comes to its end, and nothing begins any more. It is
    /// paused while something runs.
    #[default]
    Dlq,
    /// It is cancelled.
    Cancel,
    /// It is paused, for an operator to decide.
    Pause,
}

impl StalenessAction {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Dlq, Self::Cancel, Self::Pause];

    /// Its name, as templates write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dlq => "dlq",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
        }
    }
}

pub(super) fn read(template: &Fields<'_, '_>, reading: &mut Reading) -> Option<Lifecycle> {
    let entry = template.get("lifecycle")?;
    let fields = Fields::of(&entry.value, &LIFECYCLE, "the template".to_owned(), "lifecycle.", reading)?;
    let minutes = fields.integer("max_duration_minutes", 1, MAX_MINUTES, reading);
    let action = fields.text("staleness_action", reading).and_then(|(name, at)| {
        let action = StalenessAction::ALL.iter().copied().find(|action| action.as_str() == name);
        if action.is_none() {
            let message = format!("{} is {}, which is none", fields.name_of("staleness_action"), quoted(name));
            let names = StalenessAction::ALL.iter().map(|action| action.as_str());
            let added = reading.report.add(&codes::UNKNOWN_VALUE, at, message).label("unknown value");
            added.help("take one of dlq, cancel, pause").suggest(nearest(name, names));
        }
        action
    });
    let max_duration_minutes = u32::try_from(minutes?).ok()?;
    Some(Lifecycle { max_duration_minutes, staleness_action: action.unwrap_or_default() })
}
