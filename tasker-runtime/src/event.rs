//! Subscribers, which are given events, and publishers, which make what events say.

mod entry;
#[doc(hidden)]
pub mod private;
mod publisher;
mod register;
mod registry;
mod subscriber;

pub use entry::{PublisherEntry, SubscriberEntry};
pub use publisher::StepEventPublisher;
pub use registry::{EventRegistry, MissingPublisher};
pub use subscriber::{FromEvent, Payload, Subscriber, SubscriberReturn};
