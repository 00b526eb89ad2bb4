//! What generated code needs. Not for people: it changes with the macros, in any release.

use std::future::Future;

use tasker_types::StepEvent;

pub use core;
pub use std::boxed::Box;
pub use std::convert::Into;
pub use std::option::Option::{self, None, Some};
pub use std::result::Result::{self, Err, Ok};
pub use std::sync::Arc;

pub use anyhow;
pub use inventory;
pub use tasker_types::StepEvent as Event;

pub use super::subscriber::{Giving, SubscriberReturn};
pub use super::{FromEvent, PublisherEntry, SubscriberEntry};
pub use crate::handler::{AppState, StateNeed};

/// What a subscriber takes, made of an event.
///
/// # Errors
/// It cannot be made of this one.
pub fn from_event<T: FromEvent>(event: &StepEvent) -> anyhow::Result<T> {
    T::from_event(event)
}

/// A value of the application's state.
///
/// # Errors
/// There is none of this type.
pub fn state<T: Send + Sync + 'static>(state: &AppState) -> anyhow::Result<&T> {
    state.get().ok_or_else(|| anyhow::anyhow!("the application has no state of type `{}`", std::any::type_name::<T>()))
}

/// What became of it.
///
/// # Errors
/// As the subscriber's.
pub fn taken<R: SubscriberReturn>(returned: R) -> anyhow::Result<()> {
    returned.into_taken()
}

/// Says at the subscriber's name that its future is not `Send`.
pub fn assert_send<F: Future + Send>(future: F) -> impl Future<Output = F::Output> + Send {
    future
}
