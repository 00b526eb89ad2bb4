//! What a task is asked for with.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
        }
    }
}
