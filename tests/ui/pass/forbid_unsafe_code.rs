//! The generated code has no `unsafe`, and none is needed to link it.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications, non_camel_case_types, clippy::all)]

use tasker::{RustStepHandler, StepExecutionResult, StepHandlerConfig, TaskSequenceStep, register_handler, step_handler};

#[step_handler]
async fn validate_order(#[input] customer: i64) -> i64 {
    customer
}

/// Charges a card.
struct ChargeCard;

#[step_handler]
impl ChargeCard {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    async fn call(&self, #[dependency(validate_order)] customer: i64) -> i64 {
        customer
    }
}

/// A hand-written handler beside the others.
struct ByHand;

#[async_trait::async_trait]
impl RustStepHandler for ByHand {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "by_hand"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, 1.into(), None))
    }
}

register_handler!(ByHand);
register_handler!("under_another_name", ByHand);

fn main() {
    let names = tasker::RustStepHandlerRegistry::new().list_handlers();
    assert_eq!(names, ["by_hand", "charge_card", "under_another_name", "validate_order"]);
}
