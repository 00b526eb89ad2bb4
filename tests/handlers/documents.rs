//! The handlers of the user's documents, as they stand there but for their `use` lines.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    dead_code,
    unreachable_pub,
    reason = "they stay as they are"
)]

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use async_trait::async_trait;
use serde_json::json;
use tasker::testing::{TestStep, create_test_step_data};
use tasker::{
    RustStepHandler, RustStepHandlerRegistry, StepExecutionResult, StepHandlerConfig, TaskSequenceStep, error_result,
    error_types, step_handler, success_result,
};

use super::{failure, run};

#[rustfmt::skip]
mod verbatim {
use super::*;

pub struct MyHandler {
    config: StepHandlerConfig,
}

#[async_trait]
impl RustStepHandler for MyHandler {
    fn new(config: StepHandlerConfig) -> Self {
        Self { config }
    }

    fn name(&self) -> &str {
        "my_handler"
    }

    async fn call(
        &self,
        step_data: &TaskSequenceStep,
    ) -> Result<StepExecutionResult> {
        let start = Instant::now();

        // Access task context data
        let _input_data = &step_data.task.context;

        // Perform your business logic
        let result_data = json!({ "result": "processed" });

        let duration_ms = start.elapsed().as_millis() as i64;

        Ok(success_result(
            step_data.workflow_step.workflow_step_uuid,
            result_data,
            duration_ms,
            None,
        ))
    }
}

pub struct ValidateOrderHandler {
    config: StepHandlerConfig,
}

#[async_trait]
impl RustStepHandler for ValidateOrderHandler {
    fn new(config: StepHandlerConfig) -> Self {
        Self { config }
    }

    fn name(&self) -> &str {
        "validate_order"
    }

    async fn call(
        &self,
        step_data: &TaskSequenceStep,
    ) -> Result<StepExecutionResult> {
        let start = Instant::now();

        // Access task context
        let context = &step_data.task.context;
        let customer = &context["customer"];
        let customer_id = customer["id"].as_i64()
            .ok_or_else(|| anyhow::anyhow!("Customer ID is required"))?;

        // Extract and validate order items
        let items = context["items"].as_array()
            .ok_or_else(|| anyhow::anyhow!("Items array is required"))?;

        if items.is_empty() {
            let duration_ms = start.elapsed().as_millis() as i64;
            return Ok(error_result(
                step_data.workflow_step.workflow_step_uuid,
                "Order items cannot be empty".to_string(),
                Some("EMPTY_ORDER".to_string()),       // error_code
                Some("ValidationError".to_string()),    // error_type
                false,                                   // retryable
                duration_ms,
                None,                                    // context metadata
            ));
        }

        // Calculate order total
        let total: f64 = items.iter()
            .map(|item| {
                let price = item["price"].as_f64().unwrap_or(0.0);
                let qty = item["quantity"].as_i64().unwrap_or(0) as f64;
                price * qty
            })
            .sum();

        let duration_ms = start.elapsed().as_millis() as i64;

        Ok(success_result(
            step_data.workflow_step.workflow_step_uuid,
            json!({
                "customer_id": customer_id,
                "validated_items": items,
                "order_total": total,
                "validation_status": "complete",
            }),
            duration_ms,
            None,
        ))
    }
}

}
/// The same body under the macro, in its raw form.
#[rustfmt::skip]
mod raw {
    use super::*;

    #[step_handler]
    pub(super) async fn validate_order(step_data: &TaskSequenceStep) -> Result<StepExecutionResult> {
        let start = Instant::now();

        // Access task context
        let context = &step_data.task.context;
        let customer = &context["customer"];
        let customer_id = customer["id"].as_i64()
            .ok_or_else(|| anyhow::anyhow!("Customer ID is required"))?;

        // Extract and validate order items
        let items = context["items"].as_array()
            .ok_or_else(|| anyhow::anyhow!("Items array is required"))?;

        if items.is_empty() {
            let duration_ms = start.elapsed().as_millis() as i64;
            return Ok(error_result(
                step_data.workflow_step.workflow_step_uuid,
                "Order items cannot be empty".to_string(),
                Some("EMPTY_ORDER".to_string()),       // error_code
                Some("ValidationError".to_string()),    // error_type
                false,                                   // retryable
                duration_ms,
                None,                                    // context metadata
            ));
        }

        // Calculate order total
        let total: f64 = items.iter()
            .map(|item| {
                let price = item["price"].as_f64().unwrap_or(0.0);
                let qty = item["quantity"].as_i64().unwrap_or(0) as f64;
                price * qty
            })
            .sum();

        let duration_ms = start.elapsed().as_millis() as i64;

        Ok(success_result(
            step_data.workflow_step.workflow_step_uuid,
            json!({
                "customer_id": customer_id,
                "validated_items": items,
                "order_total": total,
                "validation_status": "complete",
            }),
            duration_ms,
            None,
        ))
    }
}

use verbatim::{MyHandler, ValidateOrderHandler};

tasker::register_handler!(MyHandler);

#[tokio::test]
async fn test_validate_order_handler() {
    let handler = ValidateOrderHandler::new(StepHandlerConfig::default());

    // Create mock step data
    let step_data = create_test_step_data(json!({
        "customer": {"id": 123, "email": "test@example.com"},
        "items": [
            {"product_id": 1, "quantity": 2, "price": 29.99}
        ]
    }));

    let result = handler.call(&step_data).await.unwrap();

    assert!(result.success);
    assert_eq!(result.result["order_total"], 59.98);
    assert_eq!(result.result["customer_id"], 123);
    assert_eq!(result.result["validation_status"], "complete");
}

#[tokio::test]
async fn an_empty_order_is_a_validation_error_that_is_not_tried_again() {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("validate_order", || Box::new(ValidateOrderHandler::new(StepHandlerConfig::default())));
    let handler = registry.get_handler("validate_order").unwrap();
    let step = create_test_step_data(json!({ "customer": { "id": 1 }, "items": [] }));
    let result = handler.call(&step).await.unwrap();
    assert_eq!(failure(&result), ("Order items cannot be empty", "ValidationError", false));
    assert_eq!(result.error_code(), Some("EMPTY_ORDER"));
}

#[tokio::test]
async fn a_missing_customer_is_unrecoverable() {
    let handler = ValidateOrderHandler::new(StepHandlerConfig::default());
    let step = create_test_step_data(json!({ "items": [] }));
    let result = tasker_runtime::handler::run_attempt(&handler, &[], &step).await;
    assert_eq!(failure(&result), ("Customer ID is required", error_types::HANDLER_ERROR, false));
}

#[tokio::test]
async fn the_minimal_handler_is_linked_by_its_own_name() {
    let result = run("my_handler", &create_test_step_data(json!({}))).await;
    assert_eq!(result.result, json!({ "result": "processed" }));
}

use raw::validate_order;

#[tokio::test]
async fn the_raw_form_of_the_macro_gives_the_same() {
    let step = create_test_step_data(json!({ "customer": { "id": 1 }, "items": [{ "price": 29.99, "quantity": 2 }] }));
    assert_eq!(run("validate_order", &step).await.result["order_total"], 59.98);
    assert_eq!(validate_order(&step).await.unwrap().result["order_total"], 59.98);
}

#[tokio::test]
async fn context_and_dependencies_are_read_as_the_document_shows() {
    let step_data = TestStep::new(json!({ "customer_id": 7, "field_name": "x" }))
        .dependency("previous_step_name", json!(36))
        .dependency("validate_order", json!({ "order_total": 59.98 }))
        .build();

    let customer_id: i64 = step_data.get_input("customer_id").unwrap();
    let timeout: i64 = step_data.get_input_or("timeout_ms", 5000);
    let previous_result: i64 = step_data.get_dependency_result_column_value("previous_step_name").unwrap();
    let order_data: serde_json::Value = step_data.get_dependency_result_column_value("validate_order").unwrap();
    let total = order_data["order_total"].as_f64().unwrap_or(0.0);
    let context = &step_data.task.context;
    let value = context["field_name"].as_str().unwrap_or("default");
    let dep_results = &step_data.dependency_results;

    assert_eq!((customer_id, timeout, previous_result, value), (7, 5000, 36, "x"));
    assert!((total - 59.98).abs() < f64::EPSILON);
    assert_eq!(dep_results.len(), 2);
}

pub struct DecisionHandler;

#[async_trait]
impl RustStepHandler for DecisionHandler {
    async fn call(&self, step_data: &TaskSequenceStep) -> Result<StepExecutionResult> {
        let step_uuid = step_data.workflow_step.workflow_step_uuid;
        let order_total = step_data.workflow_step.inputs.get("order_total").and_then(|v| v.as_f64()).unwrap_or(0.0);
        let (steps_to_activate, routing_reason) = if order_total > 1000.0 {
            (vec!["high_value_review", "priority_fulfillment"], "high_value_order")
        } else if order_total > 100.0 {
            (vec!["standard_fulfillment"], "standard_order")
        } else {
            (vec!["low_value_batch"], "low_value_order")
        };
        Ok(StepExecutionResult::success(
            step_uuid,
            json!({
                "activated_steps": steps_to_activate,
                "routing_context": { "reason": routing_reason, "order_total": order_total }
            }),
            Some(HashMap::from([("routing_reason".to_string(), json!(routing_reason))])),
        ))
    }

    fn name(&self) -> &str {
        "order_router"
    }

    fn new(_: StepHandlerConfig) -> Self {
        Self
    }
}

#[tokio::test]
async fn the_router_reads_the_steps_inputs() {
    let routes = [
        (1_500, json!(["high_value_review", "priority_fulfillment"])),
        (500, json!(["standard_fulfillment"])),
        (50, json!(["low_value_batch"])),
    ];
    for (total, expected) in routes {
        let step_data = TestStep::new(json!({})).inputs(json!({ "order_total": total })).build();
        let result = DecisionHandler.call(&step_data).await.unwrap();
        assert_eq!(result.result["activated_steps"], expected);
        assert!(result.metadata.custom.contains_key("routing_reason"));
    }
}

#[test]
fn results_have_the_builders_and_accessors_of_the_documents() {
    let result = StepExecutionResult::failure(uuid::Uuid::nil(), "Error", "permanent_error", false)
        .with_error_code("ERR_001")
        .with_error_type(error_types::PERMANENT_ERROR);
    assert_eq!((result.error_code(), result.error_type()), (Some("ERR_001"), Some("permanent_error")));
    let metadata = HashMap::from([("handler".to_string(), json!("my_handler"))]);
    let result = success_result(uuid::Uuid::nil(), json!({ "output": "value" }), 12, Some(metadata));
    assert_eq!((result.metadata.execution_time_ms, &result.metadata.custom["handler"]), (12, &json!("my_handler")));
}
