//! What a task is asked for with.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
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
    /// How many seconds a claimed step of the task may be without an outcome: after that its claim counts as lost, whatever
    /// its worker does. From 1 to [`CLAIM_TIMEOUT_SECONDS_MAX`](Self::CLAIM_TIMEOUT_SECONDS_MAX); no such limit where it is missing.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "claim_timeout")]
    pub claim_timeout_seconds: Option<u32>,
}

impl TaskRequest {
    /// The longest claim timeout: a year.
    pub const CLAIM_TIMEOUT_SECONDS_MAX: u32 = 365 * 24 * 3600;

    /// How long a claimed step of the task may be without an outcome.
    ///
    /// # Errors
    /// It is out of bounds; the sentence names them.
    pub fn claim_timeout(&self) -> Result<Option<Duration>, String> {
        let Some(seconds) = self.claim_timeout_seconds else { return Ok(None) };
        if (1..=Self::CLAIM_TIMEOUT_SECONDS_MAX).contains(&seconds) {
            return Ok(Some(Duration::from_secs(seconds.into())));
        }
        let max = Self::CLAIM_TIMEOUT_SECONDS_MAX;
        Err(format!("`claim_timeout_seconds` is {seconds}; it is from 1 to {max}"))
    }
}

/// Reads a claim timeout that is within its bounds.
fn claim_timeout<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let claim_timeout_seconds = Option::deserialize(from)?;
    let request = TaskRequest { claim_timeout_seconds, ..TaskRequest::default() };
    request.claim_timeout().map_err(serde::de::Error::custom)?;
    Ok(claim_timeout_seconds)
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
            claim_timeout_seconds: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_timeout_is_read_within_its_bounds() {
        let read = |seconds: Value| {
            let request: Result<TaskRequest, _> = serde_json::from_value(json!({ "claim_timeout_seconds": seconds }));
            request.map(|request| request.claim_timeout_seconds).map_err(|error| error.to_string())
        };
        assert_eq!(read(json!(300)), Ok(Some(300)));
        assert_eq!(read(json!(31_536_000)), Ok(Some(31_536_000)));
        assert_eq!(read(json!(null)), Ok(None));
        for out_of_bounds in [json!(0), json!(31_536_001), json!(-1), json!(1.5), json!("300")] {
            assert!(read(out_of_bounds.clone()).is_err(), "{out_of_bounds}");
        }
        let told = read(json!(0)).unwrap_err();
        assert!(told.contains("it is from 1 to 31536000"), "{told}");
        assert_eq!(serde_json::from_value::<TaskRequest>(json!({})).unwrap(), TaskRequest::default());
        assert!(!serde_json::to_string(&TaskRequest::default()).unwrap().contains("claim_timeout"));
    }
}
