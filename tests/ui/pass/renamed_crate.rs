//! A crate that reaches tasker under another name says so once.

mod vendored {
    pub(crate) use tasker as workflows;
}

use vendored::workflows::{StepError, StepFailure, step_handler};

#[derive(Debug, thiserror::Error, StepFailure)]
#[error("busy")]
#[step(retryable, crate = crate::vendored::workflows)]
struct Busy;

#[step_handler(crate = crate::vendored::workflows)]
async fn validate_order(#[input] customer: i64) -> Result<i64, Busy> {
    if customer == 0 { Err(Busy) } else { Ok(customer) }
}

#[step_handler(crate = vendored::workflows)]
async fn reserve_inventory(#[dependency(validate_order)] order: i64) -> Result<i64, StepError> {
    Ok(order)
}

fn main() {}
