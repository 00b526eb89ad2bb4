//! Two handlers as an older engine's guide shows them: only their `use` lines are other ones.

use std::time::Instant;

use anyhow::Result;
use async_trait::async_trait;
use serde_json::json;
use tasker::{RustStepHandler, StepExecutionResult, StepHandlerConfig, TaskSequenceStep, error_result, success_result};

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

    async fn call(&self, step_data: &TaskSequenceStep) -> Result<StepExecutionResult> {
        let start = Instant::now();

        // Access task context data
        let _input_data = &step_data.task.context;

        // Perform your business logic
        let result_data = json!({ "result": "processed" });

        let duration_ms = start.elapsed().as_millis() as i64;

        Ok(success_result(step_data.workflow_step.workflow_step_uuid, result_data, duration_ms, None))
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

    async fn call(&self, step_data: &TaskSequenceStep) -> Result<StepExecutionResult> {
        let start = Instant::now();

        // Access task context
        let context = &step_data.task.context;
        let customer = &context["customer"];
        let customer_id = customer["id"].as_i64().ok_or_else(|| anyhow::anyhow!("Customer ID is required"))?;

        // Extract and validate order items
        let items = context["items"].as_array().ok_or_else(|| anyhow::anyhow!("Items array is required"))?;

        if items.is_empty() {
            let duration_ms = start.elapsed().as_millis() as i64;
            return Ok(error_result(
                step_data.workflow_step.workflow_step_uuid,
                "Order items cannot be empty".to_string(),
                Some("EMPTY_ORDER".to_string()),     // error_code
                Some("ValidationError".to_string()), // error_type
                false,                               // retryable
                duration_ms,
                None, // context metadata
            ));
        }

        // Calculate order total
        let total: f64 = items
            .iter()
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
