//! Where tasks live: one contract, one implementation for each database.
//!
//! A store carries out what [`core`](crate::core) decides; it never chooses a next state.

#[cfg(any(test, feature = "testing"))]
mod around;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod contract;
#[cfg(test)]
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod differential;
mod error;
mod event;
mod filter;
mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod migration;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod named;
#[cfg(feature = "postgres")]
pub mod postgres;
mod read;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(any(test, feature = "testing"))]
pub use around::Around;
pub use contract::{
    ClaimRequest, Claims, Committed, DUE_MAX, Due, Durability, Hints, InputRequest, LeaseAct, LeaseRequest, Leased,
    Queue, StepInput, Store, Whose, WorkerView,
};
pub use error::StoreError;
pub use event::{
    Deliveries, Delivery, DeliveryReport, DeliveryRequest, DuePlace, EventTask, EventView, FailedDelivery,
    SubscriberView, Subscription,
};
pub use filter::TaskFilter;
pub use memory::MemoryStore;
pub use read::{
    AttemptView, Counts, FAILED_TASKS_MAX, FailureGroup, ListedTask, Page, StepView, StoredTemplate, TaskView,
    starts_at,
};
