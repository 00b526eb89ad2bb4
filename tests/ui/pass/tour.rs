//! Every way to write a handler, and every source of an argument.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tasker::{
    Classify, FromStep, StepContext, StepError, StepExecutionResult, StepFailure, StepHandlerConfig, TaskSequenceStep,
    step_handler,
};

#[derive(Debug, thiserror::Error, StepFailure)]
enum OrderError {
    #[error("order has no items")]
    #[step(permanent)]
    EmptyOrder,
    #[error("{sku} is sold out")]
    #[step(retryable, code = "SOLD_OUT", error_type = "timeout", retry_after = "2s")]
    OutOfStock { sku: String },
    #[error("gateway: {0}")]
    #[step(transparent)]
    Gateway(GatewayError),
}

#[derive(Debug, thiserror::Error, StepFailure)]
#[error("gateway is busy")]
#[step(retryable)]
struct GatewayError;

#[derive(Serialize, Deserialize)]
struct Order {
    total: f64,
}

#[derive(Deserialize)]
struct Item {
    price: f64,
}

struct Tenant<'s>(&'s str);

impl<'s> FromStep<'s> for Tenant<'s> {
    fn from_step(step: &'s TaskSequenceStep) -> Result<Self, StepError> {
        Ok(Tenant(&step.task.name))
    }
}

/// Adds up the order.
#[step_handler(
    name = "validate_order",
    alias = "rust::orders::ValidateOrder",
    alias = "validate",
    timeout = "30s",
    retry(max_attempts = 2, backoff = "exponential", base = "100ms", max = "5s", max_losses = 2, retryable = true)
)]
async fn validate_order(
    #[input("customer.id")] customer: i64,
    #[input] items: Vec<Item>,
    #[input(default = 5000)] timeout_ms: i64,
    #[input] coupon: Option<String>,
    #[input(default)] tags: Vec<String>,
    #[input("currency", default = "EUR")] currency: &str,
    tenant: Tenant<'_>,
) -> Result<Order, OrderError> {
    let _ = (customer, timeout_ms, coupon, tags, currency, tenant.0);
    if items.is_empty() {
        return Err(OrderError::EmptyOrder);
    }
    if items.len() > 9 {
        return Err(OrderError::OutOfStock { sku: "x".to_owned() });
    }
    if items.len() > 8 {
        return Err(OrderError::Gateway(GatewayError));
    }
    Ok(Order { total: items.iter().map(|item| item.price).sum() })
}

#[step_handler]
async fn reserve_inventory(
    #[dependency(validate_order)] order: Order,
    #[dependency("fraud_check", partial)] fraud: f64,
    #[dependency(gift_wrap)] wrap: Option<String>,
    #[dependencies(prefix = "batch_worker_")] all: BTreeMap<String, i64>,
    #[state] pool: &String,
    #[state] size: u8,
    #[config] cfg: serde_json::Value,
    #[config("limit", default = 3)] limit: u8,
    #[context] whole: &serde_json::Value,
    ctx: StepContext<'_>,
) -> anyhow::Result<i64> {
    let _ = (order.total, fraud, wrap, all, pool, size, cfg, limit, whole, ctx.attempt());
    "1".parse::<i64>().permanent()?;
    Ok(1)
}

#[step_handler]
async fn gift_wrap() -> String {
    String::new()
}

#[step_handler(name = "process_payment", returns = Order)]
async fn process_payment(step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
    Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, 1.into(), None))
}

#[step_handler]
async fn after_payment(#[dependency(process_payment)] payment: Order) {
    let _ = payment;
}

struct ChargeCard {
    url: String,
}

#[step_handler(name = "charge_card")]
impl ChargeCard {
    const PATH: &'static str = "/charge";

    fn new(config: StepHandlerConfig) -> anyhow::Result<Self> {
        Ok(Self { url: config.get("url")? })
    }

    async fn call(&self, #[input] amount: f64, #[dependency(ChargeCard, partial)] _again: Option<u8>) -> Result<Order, StepError> {
        let _ = self.path();
        Ok(Order { total: amount })
    }

    fn path(&self) -> String {
        format!("{}{}", self.url, Self::PATH)
    }
}

#[step_handler(blocking)]
fn compress(#[input] bytes: &[u8], ctx: StepContext<'_>) -> usize {
    let _ = ctx.is_cancelled();
    bytes.len()
}

fn main() {}
