//! The four steps of an order.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tasker::{
    RustStepHandler, RustStepHandlerRegistry, StepExecutionResult, StepHandlerConfig, TaskSequenceStep, error_types,
};

/// All of them.
pub(crate) fn registry() -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register_handler("validate_order", |config| Box::new(ValidateOrder::new(config)));
    registry.register_handler("reserve_inventory", |config| Box::new(ReserveInventory::new(config)));
    registry.register_handler("process_payment", |config| Box::new(ProcessPayment::new(config)));
    registry.register_handler("ship_order", |config| Box::new(ShipOrder::new(config)));
    registry
}

/// Adds up the order.
struct ValidateOrder;

#[async_trait]
impl RustStepHandler for ValidateOrder {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "validate_order"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let customer: i64 = step.get_input("customer.id")?;
        let items: Vec<Value> = step.get_input("items")?;
        let uuid = step.workflow_step.workflow_step_uuid;
        if items.is_empty() {
            let failure = StepExecutionResult::failure(uuid, "Order items cannot be empty", "ValidationError", false);
            return Ok(failure.with_error_code("EMPTY_ORDER"));
        }
        let number = |item: &Value, key: &str| item[key].as_f64().unwrap_or(0.0);
        let total: f64 = items.iter().map(|item| number(item, "price") * number(item, "quantity")).sum();
        let result = json!({
            "customer_id": customer,
            "validated_items": items,
            "order_total": total,
            "validation_status": "complete",
        });
        Ok(StepExecutionResult::success(uuid, result, None))
    }
}

/// Puts the items aside.
struct ReserveInventory;

#[async_trait]
impl RustStepHandler for ReserveInventory {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "reserve_inventory"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let order: Value = step.get_dependency_result_column_value("validate_order")?;
        work(step).await;
        let reserved = order["validated_items"].as_array().map_or(0, Vec::len);
        let result = json!({ "reservation_id": format!("RES-{}", order["customer_id"]), "items_reserved": reserved });
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, result, None))
    }
}

/// Charges the customer.
struct ProcessPayment;

#[async_trait]
impl RustStepHandler for ProcessPayment {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "process_payment"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let order: Value = step.get_dependency_result_column_value("validate_order")?;
        let uuid = step.workflow_step.workflow_step_uuid;
        work(step).await;
        if step.get_input_or("payment.card", String::new()) == "stolen" {
            let failure =
                StepExecutionResult::failure(uuid, "the card was declined", error_types::PERMANENT_ERROR, false);
            return Ok(failure.with_error_code("CARD_DECLINED"));
        }
        if step.workflow_step.failures < step.get_input_or("payment.timeouts", 0) {
            let failure = StepExecutionResult::failure(uuid, "the gateway did not answer", error_types::TIMEOUT, true);
            return Ok(failure.with_error_code("GATEWAY_TIMEOUT"));
        }
        let result = json!({ "payment_id": format!("PAY-{}", order["customer_id"]), "amount": order["order_total"] });
        Ok(StepExecutionResult::success(uuid, result, None))
    }
}

/// Hands the parcel over.
struct ShipOrder;

#[async_trait]
impl RustStepHandler for ShipOrder {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "ship_order"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let payment: Value = step.get_dependency_result_column_value("process_payment")?;
        let order: Value = step.get_dependency_result_column_value("validate_order")?;
        work(step).await;
        let result = json!({
            "order_total": order["order_total"],
            "payment_id": payment["payment_id"],
            "shipping_status": "shipped",
            "tracking_number": format!("TRK-{}", order["customer_id"]),
        });
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, result, None))
    }
}

/// The time that a warehouse, a gateway or a carrier would take: `pace_ms` of the task.
async fn work(step: &TaskSequenceStep) {
    tokio::time::sleep(Duration::from_millis(step.get_input_or("pace_ms", 0))).await;
}
