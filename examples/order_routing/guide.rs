//! The decision handler of an older engine's guide. Three things are other ones: its `use` lines, `new`, which every handler
//! has, and the `Ok` around its result. Its lines are broken as `cargo fmt` does.

use std::collections::HashMap;

use anyhow::Result;
use async_trait::async_trait;
use serde_json::json;
use tasker::{RustStepHandler, StepExecutionResult, StepHandlerConfig, TaskSequenceStep};

pub struct DecisionHandler;

#[async_trait]
impl RustStepHandler for DecisionHandler {
    async fn call(&self, step_data: &TaskSequenceStep) -> Result<StepExecutionResult> {
        let step_uuid = step_data.workflow_step.workflow_step_uuid;

        // Extract decision criteria from inputs or context
        let order_total = step_data.workflow_step.inputs.get("order_total").and_then(|v| v.as_f64()).unwrap_or(0.0);

        // Decision logic
        let (steps_to_activate, routing_reason) = if order_total > 1000.0 {
            (vec!["high_value_review", "priority_fulfillment"], "high_value_order")
        } else if order_total > 100.0 {
            (vec!["standard_fulfillment"], "standard_order")
        } else {
            (vec!["low_value_batch"], "low_value_order")
        };

        // Return success with routing information
        Ok(StepExecutionResult::success(
            step_uuid,
            json!({
                "activated_steps": steps_to_activate,
                "routing_context": {
                    "reason": routing_reason,
                    "order_total": order_total
                }
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
