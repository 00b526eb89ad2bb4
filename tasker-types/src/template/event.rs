//! The events that a step publishes, and when.

use serde::{Deserialize, Serialize};

use super::codes;
use super::fields::{Fields, Reading};
use super::keys::EVENT;
use super::limits::MAX_EVENTS;
use super::names::check_handler;
use super::node::At;
use super::scalar::quoted;
use crate::event::RESERVED;
use crate::suggest::nearest;

/// An event that a step publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSpec {
    /// The event's name.
    pub name: String,
    /// Which ends of an attempt it is published at.
    #[serde(default)]
    pub condition: EventCondition,
    /// How it reaches those who listen.
    #[serde(default)]
    pub delivery_mode: DeliveryMode,
    /// The publisher that makes its payload; the step's result, or its error, where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
}

/// Which ends of an attempt an event is published at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventCondition {
    /// The step completed.
    #[default]
    Success,
    /// The attempt failed, whether the step is tried again or not.
    Failure,
    /// The attempt failed, and the step is tried again.
    RetryableFailure,
    /// The step failed for good.
    PermanentFailure,
    /// All of these.
    Always,
}

impl EventCondition {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Success, Self::Failure, Self::RetryableFailure, Self::PermanentFailure, Self::Always];

    /// Its name, as templates write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::RetryableFailure => "retryable_failure",
            Self::PermanentFailure => "permanent_failure",
            Self::Always => "always",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|condition| condition.as_str() == name)
    }
}

/// How an event reaches those who listen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryMode {
    /// It is a row of the transaction that ends the attempt, and is delivered at least once.
    #[default]
    Durable,
    /// It is told to the process that ran the step, at most once.
    Fast,
    /// Both: a row for the subscribers, and told at once to who listens in the process.
    Broadcast,
}

impl DeliveryMode {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Durable, Self::Fast, Self::Broadcast];

    /// Its name, as templates write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Fast => "fast",
            Self::Broadcast => "broadcast",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.as_str() == name)
    }

    /// Whether it is a row of the step's transaction.
    #[must_use]
    pub const fn is_stored(self) -> bool {
        matches!(self, Self::Durable | Self::Broadcast)
    }

    /// Whether the process is told of it at once.
    #[must_use]
    pub const fn is_told_at_once(self) -> bool {
        matches!(self, Self::Fast | Self::Broadcast)
    }
}

/// What a step says under `publishes_events`: each event, and where it names its publisher.
pub(super) fn read(fields: &Fields<'_, '_>, label: &str, reading: &mut Reading) -> Vec<(EventSpec, Option<At>)> {
    const KEY: &str = "publishes_events";
    let Some(entry) = fields.get(KEY) else { return Vec::new() };
    let items = fields.list(KEY, reading).unwrap_or_default();
    if items.len() > MAX_EVENTS {
        let message = format!("{} has {} events; {MAX_EVENTS} are allowed", fields.name_of(KEY), items.len());
        reading.report.add(&codes::OUT_OF_RANGE, entry.key_at, message).label("too many");
    }
    let mut events: Vec<(EventSpec, Option<At>)> = Vec::with_capacity(items.len());
    for item in items {
        let Some(inner) = Fields::of(item, &EVENT, label.to_owned(), "publishes_events.", reading) else { continue };
        let condition = one_of(&inner, "condition", EventCondition::ALL, |one| one.as_str(), reading);
        let delivery_mode = one_of(&inner, "delivery_mode", DeliveryMode::ALL, |one| one.as_str(), reading);
        let (publisher, publisher_at) =
            inner.text("publisher", reading).map(|(name, at)| (name.to_owned(), at)).unzip();
        let Some((name, at)) = inner.text("name", reading) else { continue };
        if let Err(bad) = check_handler(name) {
            let message = format!("bad event name: {}", bad.reason);
            reading.report.add(&codes::BAD_EVENT_NAME, at, message).suggest(bad.suggestion.as_deref());
        } else if name.starts_with(RESERVED) {
            let message =
                format!("bad event name: names that begin with `{RESERVED}` are those of the engine's own events");
            reading.report.add(&codes::BAD_EVENT_NAME, at, message).label("reserved");
        }
        let event = EventSpec {
            name: name.to_owned(),
            condition: condition.unwrap_or_default(),
            delivery_mode: delivery_mode.unwrap_or_default(),
            publisher,
        };
        if events.iter().any(|(known, _)| known.name == event.name && known.condition == event.condition) {
            let message = format!("{label} publishes {} on `{}` twice", quoted(name), event.condition.as_str());
            reading.report.add(&codes::DUPLICATE_EVENT, at, message).label("a second time here");
        }
        events.push((event, publisher_at));
    }
    events
}

fn one_of<T: Copy>(
    fields: &Fields<'_, '_>,
    key: &str,
    all: &'static [T],
    name_of: fn(T) -> &'static str,
    reading: &mut Reading,
) -> Option<T> {
    let (name, at) = fields.text(key, reading)?;
    let found = all.iter().copied().find(|&one| name_of(one) == name);
    if found.is_none() {
        let names = || all.iter().map(|&one| name_of(one));
        let message = format!("{} is {}, which is none", fields.name_of(key), quoted(name));
        let added = reading.report.add(&codes::UNKNOWN_VALUE, at, message).label("unknown value");
        added.help(format!("take one of {}", names().collect::<Vec<_>>().join(", "))).suggest(nearest(name, names()));
    }
    found
}
