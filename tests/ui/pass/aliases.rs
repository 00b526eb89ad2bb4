//! What a type is counts, not how it is spelled.

use serde::{Deserialize, Serialize};
use tasker::{StepError, StepExecutionResult, TaskSequenceStep, step_handler};

type Fallible<T> = Result<T, StepError>;
type Done = Fallible<Order>;
type Raw = anyhow::Result<StepExecutionResult>;
type Maybe = Option<Order>;

#[derive(Serialize, Deserialize)]
struct Order;

#[step_handler]
async fn validate_order() -> Done {
    Ok(Order)
}

#[step_handler]
async fn audit(step: &TaskSequenceStep) -> Raw {
    Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, 1.into(), None))
}

#[step_handler]
async fn reserve_inventory(#[dependency(validate_order)] order: Maybe, #[dependency(audit)] any: u8) -> Fallible<bool> {
    let _ = any;
    Ok(order.is_some())
}

#[step_handler]
async fn ship_order(#[dependency(validate_order)] order: serde_json::Value) -> std::result::Result<(), anyhow::Error> {
    let _ = order;
    Ok(())
}

fn main() {}
