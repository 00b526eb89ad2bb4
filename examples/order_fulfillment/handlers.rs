//! The four steps of an order.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasker::{StepFailure, TaskSequenceStep, step_handler};

/// What can go wrong, and whether another try could help.
#[derive(Debug, thiserror::Error, StepFailure)]
pub(crate) enum OrderError {
    #[error("Order items cannot be empty")]
    #[step(permanent, error_type = "ValidationError")]
    EmptyOrder,
    #[error("the card was declined")]
    #[step(permanent)]
    CardDeclined,
    #[error("the gateway did not answer")]
    #[step(retryable, error_type = "timeout")]
    GatewayTimeout,
}

/// A line of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Item {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product_id: Option<i64>,
    quantity: i64,
    price: f64,
}

/// An order that can be fulfilled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ValidatedOrder {
    customer_id: i64,
    validated_items: Vec<Item>,
    order_total: f64,
    validation_status: String,
}

/// What was put aside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reservation {
    reservation_id: String,
    items_reserved: usize,
}

/// What was paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Payment {
    payment_id: String,
    amount: f64,
}

/// What was handed over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Shipment {
    order_total: f64,
    payment_id: String,
    shipping_status: String,
    tracking_number: String,
}

/// Adds up the order.
#[step_handler]
pub(crate) async fn validate_order(
    #[input("customer.id")] customer_id: i64,
    #[input] items: Vec<Item>,
) -> Result<ValidatedOrder, OrderError> {
    if items.is_empty() {
        return Err(OrderError::EmptyOrder);
    }
    #[allow(clippy::cast_precision_loss, reason = "nobody orders that many")]
    let order_total = items.iter().map(|item| item.price * item.quantity as f64).sum();
    Ok(ValidatedOrder { customer_id, validated_items: items, order_total, validation_status: "complete".to_owned() })
}

/// Puts the items aside.
#[step_handler]
pub(crate) async fn reserve_inventory(
    #[dependency(validate_order)] order: ValidatedOrder,
    #[input(default = 0)] pace_ms: u64,
) -> Reservation {
    work(pace_ms).await;
    let reservation_id = format!("RES-{}", order.customer_id);
    Reservation { reservation_id, items_reserved: order.validated_items.len() }
}

/// Charges the customer.
#[step_handler]
pub(crate) async fn process_payment(
    #[dependency(validate_order)] order: ValidatedOrder,
    #[input("payment.card", default)] card: String,
    #[input("payment.timeouts", default = 0)] timeouts: u32,
    #[input(default = 0)] pace_ms: u64,
    step: &TaskSequenceStep,
) -> Result<Payment, OrderError> {
    work(pace_ms).await;
    if card == "stolen" {
        return Err(OrderError::CardDeclined);
    }
    if step.workflow_step.failures < timeouts {
        return Err(OrderError::GatewayTimeout);
    }
    Ok(Payment { payment_id: format!("PAY-{}", order.customer_id), amount: order.order_total })
}

/// Hands the parcel over.
#[step_handler]
pub(crate) async fn ship_order(
    #[dependency(validate_order)] order: ValidatedOrder,
    #[dependency(process_payment)] payment: Payment,
    #[input(default = 0)] pace_ms: u64,
) -> Shipment {
    work(pace_ms).await;
    Shipment {
        order_total: order.order_total,
        payment_id: payment.payment_id,
        shipping_status: "shipped".to_owned(),
        tracking_number: format!("TRK-{}", order.customer_id),
    }
}

/// The time that a warehouse, a gateway or a carrier would take.
async fn work(pace_ms: u64) {
    tokio::time::sleep(Duration::from_millis(pace_ms)).await;
}
