//! The registry, with what was written by hand in it, and an annotated handler.

use serde_json::Value;
use tasker::{RustStepHandler as _, RustStepHandlerRegistry, StepHandlerConfig, step_handler};

use super::guide::{MyHandler, ValidateOrderHandler};

/// Every handler of this program: the annotated one is there already.
pub(crate) fn registry() -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::new();
    registry.register("my_handler", || Box::new(MyHandler::new(StepHandlerConfig::default())));
    registry.register_handler("validate_order", |config| Box::new(ValidateOrderHandler::new(config)));
    registry
}

/// Says what was checked.
#[step_handler]
pub(crate) async fn confirm_order(#[dependency("validate")] order: &Value) -> String {
    format!("customer {} orders for {}", order["customer_id"], order["order_total"])
}
