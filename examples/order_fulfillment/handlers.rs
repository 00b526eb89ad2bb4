//! The four steps of an order, as functions.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasker::{StepContext, StepFailure, step_handler};

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    product_id: i64,
    quantity: u32,
    price: f64,
}

/// How the customer pays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Means {
    card: String,
    /// How often the gateway does not answer: to see a step tried again.
    timeouts: u32,
}

/// An order that can be fulfilled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValidatedOrder {
    customer_id: i64,
    validated_items: Vec<Item>,
    order_total: f64,
    validation_status: String,
}

/// Items that are put aside.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reservation {
    reservation_id: String,
    items_reserved: usize,
}

/// Money that was received.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    payment_id: String,
    amount: f64,
}

/// A parcel on its way.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shipment {
    order_total: f64,
    payment_id: String,
    shipping_status: String,
    tracking_number: String,
}

/// Why an order is not fulfilled, and whether another try makes sense.
#[derive(Debug, thiserror::Error, StepFailure)]
pub(crate) enum OrderError {
    /// Nothing was ordered.
    #[error("Order items cannot be empty")]
    #[step(permanent, code = "EMPTY_ORDER", error_type = "ValidationError")]
    EmptyOrder,
    /// The gateway said nothing.
    #[error("the gateway did not answer")]
    #[step(retryable, code = "GATEWAY_TIMEOUT", error_type = "timeout")]
    GatewayTimeout,
    /// The gateway said no.
    #[error("the card was declined")]
    #[step(permanent, code = "CARD_DECLINED")]
    CardDeclined,
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
    let order_total = items.iter().map(|item| item.price * f64::from(item.quantity)).sum();
    Ok(ValidatedOrder { customer_id, validated_items: items, order_total, validation_status: "complete".to_owned() })
}

/// Puts the items aside.
#[step_handler]
pub(crate) async fn reserve_inventory(
    #[dependency(validate_order)] order: ValidatedOrder,
    #[input(default = 0)] pace_ms: u64,
) -> Reservation {
    work(pace_ms).await;
    Reservation { reservation_id: format!("RES-{}", order.customer_id), items_reserved: order.validated_items.len() }
}

/// Charges the customer.
#[step_handler]
pub(crate) async fn process_payment(
    #[dependency(validate_order)] order: ValidatedOrder,
    #[input(default = Means::default())] payment: Means,
    #[input(default = 0)] pace_ms: u64,
    ctx: StepContext<'_>,
) -> Result<Receipt, OrderError> {
    work(pace_ms).await;
    if payment.card == "stolen" {
        return Err(OrderError::CardDeclined);
    }
    if ctx.attempt() <= payment.timeouts {
        return Err(OrderError::GatewayTimeout);
    }
    Ok(Receipt { payment_id: format!("PAY-{}", order.customer_id), amount: order.order_total })
}

/// Hands the parcel over.
#[step_handler]
pub(crate) async fn ship_order(
    #[dependency(validate_order)] order: ValidatedOrder,
    #[dependency(process_payment)] receipt: Receipt,
    #[input(default = 0)] pace_ms: u64,
) -> Shipment {
    work(pace_ms).await;
    Shipment {
        order_total: order.order_total,
        payment_id: receipt.payment_id,
        shipping_status: "shipped".to_owned(),
        tracking_number: format!("TRK-{}", order.customer_id),
    }
}

/// The time that a warehouse, a gateway or a carrier would take.
async fn work(pace_ms: u64) {
    tokio::time::sleep(Duration::from_millis(pace_ms)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_is_added_up() {
        let items = vec![Item { product_id: 1, quantity: 2, price: 29.99 }];
        assert_eq!(validate_order(123, items).await.map(|order| order.order_total).ok(), Some(59.98));
    }

    #[tokio::test]
    async fn an_order_without_items_is_refused() {
        assert!(matches!(validate_order(123, Vec::new()).await, Err(OrderError::EmptyOrder)));
    }
}
