//! The branches, and the registry with the router in it.

use tasker::{RustStepHandler as _, RustStepHandlerRegistry, step_handler};

use super::guide::DecisionHandler;

/// Every handler of this program: the annotated ones are there already.
pub(crate) fn registry() -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::new();
    registry.register_handler("order_router", |config| Box::new(DecisionHandler::new(config)));
    registry
}

/// Somebody looks at the order.
#[step_handler]
pub(crate) async fn high_value_review(#[input] order_total: f64) -> String {
    format!("an order of {order_total} was reviewed")
}

/// It leaves before all others.
#[step_handler]
pub(crate) async fn priority_fulfillment() -> &'static str {
    "sent by express"
}

/// It leaves with the others.
#[step_handler]
pub(crate) async fn standard_fulfillment() -> &'static str {
    "sent"
}

/// It waits for others of its kind.
#[step_handler]
pub(crate) async fn low_value_batch() -> &'static str {
    "waits for the next batch"
}
