//! What a task is asked for with.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{IfExists, Timestamp};

/// A task to run: which template, on which context, and on whose behalf.
///
/// ```
/// use tasker_types::TaskRequest;
///
/// let request = TaskRequest {
///     name: "order_fulfillment".to_owned(),
///     namespace: "ecommerce".to_owned(),
///     context: serde_json::json!({ "customer": { "id": 123 } }),
///     ..TaskRequest::default()
/// };
/// assert_eq!(request.version, "");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskRequest {
    /// The template's name.
    pub name: String,
    /// The template's namespace.
    pub namespace: String,
    /// The template's version; the newest where this is empty.
    pub version: String,
    /// What the task works on: an object, at most 1 MiB as JSON.
    pub context: Value,
    /// Who or what asks.
    pub initiator: String,
    /// The system that it comes from.
    pub source_system: String,
    /// Why.
    pub reason: String,
    /// From -100 to 100; the higher one is claimed first.
    pub priority: i16,
    /// Ties the task to others of the same request; made up where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What the request is known by within the template: another one with the same key means the same task, for as long as
    /// that is kept. At most 255 bytes. Where it is missing, the template's `identity_strategy` says which requests do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What becomes of the request where there is such a task already.
    #[serde(skip_serializing_if = "IfExists::is_default")]
    pub if_exists: IfExists,
    /// When its first steps may start.
    #[serde(skip_serializing_if = "Start::is_now")]
    pub start: Start,
}

/// When a task's first steps may start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At once.
    #[default]
    Now,
    /// At this moment; at once where it has passed.
    At(Timestamp),
    /// So long after the task was accepted, by the clock of the database.
    In(Duration),
}

impl Start {
    /// Whether it is at once.
    #[must_use]
    pub fn is_now(&self) -> bool {
        *self == Self::Now
    }

    /// The moment, where the task was accepted at this one.
    #[must_use]
    pub fn moment(self, accepted: Timestamp) -> Timestamp {
        match self {
            Self::Now => accepted,
            Self::At(at) => at.max(accepted),
            Self::In(delay) => accepted + delay,
        }
    }
}

impl Default for TaskRequest {
    fn default() -> Self {
        Self {
            name: String::new(),
            namespace: "default".to_owned(),
            version: String::new(),
            context: Value::Object(serde_json::Map::new()),
            initiator: String::new(),
            source_system: String::new(),
            reason: String::new(),
            priority: 0,
            correlation_id: None,
            idempotency_key: None,
            if_exists: IfExists::default(),
            start: Start::Now,
        }
    }
}
