//! What is given events.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tasker_types::event::check_pattern;
use tasker_types::name::check_handler_name;
use tasker_types::{LifecycleEvent, LifecycleKind, StepEvent, StepEventContext};

use super::entry::{SubscriberEntry, place};
use crate::handler::AppState;

/// A subscriber at work on an event.
pub type Giving = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;
/// Gives an event to a subscriber that is linked in.
pub(super) type Give = fn(StepEvent, Arc<AppState>) -> Giving;

/// Something that is given events: a function under `#[event_subscriber]`, or a closure.
#[derive(Clone)]
pub struct Subscriber {
    /// Its name: under it the database keeps what it was given.
    pub name: Arc<str>,
    /// Which events it takes: a name, `order.*` or `*`.
    pub patterns: Vec<String>,
    /// Whether a new one is given what was stored before it came, too.
    pub from_oldest: bool,
    /// Where it is written.
    pub(super) place: String,
    give: Arc<dyn Fn(StepEvent, Arc<AppState>) -> Giving + Send + Sync>,
}

impl Subscriber {
    /// A closure as a subscriber. What it takes is anything that is [`FromEvent`].
    ///
    /// # Panics
    /// The pattern can match nothing, or the name is none.
    #[track_caller]
    pub fn new<E, F, R>(name: impl Into<Arc<str>>, pattern: impl Into<String>, run: F) -> Self
    where
        E: FromEvent,
        F: Fn(E) -> R + Send + Sync + 'static,
        R: Future<Output: SubscriberReturn> + Send + 'static,
    {
        let (name, pattern, caller) = (name.into(), pattern.into(), std::panic::Location::caller());
        if let Err(reason) = check_handler_name(&name) {
            panic!("bad event subscriber name: {reason}");
        }
        if let Err(reason) = check_pattern(&pattern) {
            panic!("bad pattern of events: {reason}");
        }
        let give = move |event: StepEvent, _: Arc<AppState>| -> Giving {
            let given = E::from_event(&event).map(&run);
            Box::pin(async move { given?.await.into_taken() })
        };
        Self {
            name,
            patterns: vec![pattern],
            from_oldest: false,
            place: format!("{}:{}", caller.file(), caller.line()),
            give: Arc::new(give),
        }
    }

    pub(super) fn linked(entry: &SubscriberEntry) -> Self {
        Self {
            name: entry.name.into(),
            patterns: entry.patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            from_oldest: entry.from_oldest,
            place: place(entry.file, entry.line, entry.module),
            give: Arc::new(entry.give),
        }
    }

    /// Is given an event.
    pub fn give(&self, event: StepEvent, state: Arc<AppState>) -> Giving {
        (self.give)(event, state)
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("name", &self.name).field("patterns", &self.patterns).finish_non_exhaustive()
    }
}

/// What a subscriber may take.
#[diagnostic::on_unimplemented(
    message = "an event subscriber cannot be given an argument of type `{Self}`",
    label = "it is given events",
    note = "take `StepEvent`, `StepEventContext`, `LifecycleEvent`, or `Payload<T>` for a `T` that can be read from JSON",
    note = "or put `#[state]` on the argument, to take it from the application's state"
)]
pub trait FromEvent: Sized {
    /// What is taken, made of an event.
    ///
    /// # Errors
    /// It cannot be made of this one: the subscriber has failed on it.
    fn from_event(event: &StepEvent) -> anyhow::Result<Self>;
}

impl FromEvent for StepEvent {
    fn from_event(event: &StepEvent) -> anyhow::Result<Self> {
        Ok(event.clone())
    }
}

impl FromEvent for StepEventContext {
    fn from_event(event: &StepEvent) -> anyhow::Result<Self> {
        Ok(event.context.clone())
    }
}

impl FromEvent for LifecycleEvent {
    fn from_event(event: &StepEvent) -> anyhow::Result<Self> {
        let kind = LifecycleKind::from_name(&event.name)
            .ok_or_else(|| anyhow::anyhow!("`{}` is not an event of the engine's own", event.name))?;
        Ok(Self { kind, event: event.clone() })
    }
}

/// The payload of an event, read as a `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Payload<T> {
    fn from_event(event: &StepEvent) -> anyhow::Result<Self> {
        let read = serde_json::from_value(event.payload.clone());
        read.map(Self).map_err(|error| anyhow::anyhow!("the payload of `{}` cannot be read: {error}", event.name))
    }
}

/// What a subscriber may return.
#[diagnostic::on_unimplemented(
    message = "an event subscriber cannot return `{Self}`",
    label = "it returns nothing, or a `Result<(), E>` whose error `anyhow` can take"
)]
pub trait SubscriberReturn {
    /// Whether the event was taken.
    ///
    /// # Errors
    /// It was not: it is given again later.
    fn into_taken(self) -> anyhow::Result<()>;
}

impl SubscriberReturn for () {
    fn into_taken(self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl<E: Into<anyhow::Error>> SubscriberReturn for Result<(), E> {
    fn into_taken(self) -> anyhow::Result<()> {
        self.map_err(Into::into)
    }
}
