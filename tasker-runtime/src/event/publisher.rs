//! What makes the payload of an event.

use async_trait::async_trait;
use serde_json::Value;
use tasker_types::StepEventContext;

/// Makes what the events of a step say. A template names it: `publishes_events: [{ name: order.validated, publisher: totals }]`.
///
/// It is asked when the attempt has ended and before that is written, so that what it makes is part of the same transaction. It
/// never fails the step: where it returns an error or panics, the event goes out without a payload of its own, and says so in
/// the metadata (`publisher_failed`).
///
/// ```
/// use async_trait::async_trait;
/// use serde_json::{Value, json};
/// use tasker_runtime::event::StepEventPublisher;
/// use tasker_types::StepEventContext;
///
/// struct Totals;
///
/// #[async_trait]
/// impl StepEventPublisher for Totals {
///     fn name(&self) -> &str {
///         "totals"
///     }
///
///     async fn publish(&self, _event: &str, step: &StepEventContext) -> anyhow::Result<Option<Value>> {
///         let Some(result) = &step.result else { return Ok(None) };
///         Ok(Some(json!({ "total": result.get("order_total") })))
///     }
/// }
///
/// tasker_runtime::register_publisher!(Totals);
/// # fn main() {}
/// ```
#[async_trait]
pub trait StepEventPublisher: Send + Sync {
    /// The name that templates call it by.
    fn name(&self) -> &str;

    /// The payload of the event of this name; `None` where it is not to be published this time.
    ///
    /// # Errors
    /// The event is published without a payload of its own.
    async fn publish(&self, event: &str, step: &StepEventContext) -> anyhow::Result<Option<Value>>;
}
