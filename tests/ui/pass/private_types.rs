//! A public handler may take and give types that nobody else can name.

#![allow(private_interfaces)]

pub mod orders {
    use serde::{Deserialize, Serialize};
    use tasker::{StepFailure, step_handler};

    #[derive(Serialize, Deserialize)]
    struct Order(i64);

    #[derive(Debug, thiserror::Error, StepFailure)]
    #[error("empty")]
    #[step(permanent)]
    struct Empty;

    #[step_handler]
    pub async fn validate_order(#[input] customer: Order) -> Result<Order, Empty> {
        if customer.0 == 0 { Err(Empty) } else { Ok(customer) }
    }

    #[step_handler]
    pub async fn reserve_inventory(#[dependency(validate_order)] order: Order) -> Order {
        order
    }
}

fn main() {}
