//! Two handlers, a publisher, and a subscriber that keeps the receipts.

use std::sync::Mutex;

use serde_json::{Value, json};
use tasker::prelude::*;
use tasker::{StepEvent, StepEventContext, StepEventPublisher, event_subscriber};

/// Adds the prices up.
#[step_handler]
async fn price_order(#[input] prices: Vec<f64>) -> Result<Value, StepError> {
    if prices.is_empty() {
        return Err(StepError::permanent("the order is empty").with_code("EMPTY_ORDER"));
    }
    Ok(json!({ "total": prices.iter().sum::<f64>(), "items": prices.len() }))
}

/// Takes the money: the gateway declines the first try.
#[step_handler]
async fn charge_order(#[dependency("price_order")] order: Value, ctx: StepContext<'_>) -> Result<Value, StepError> {
    if ctx.attempt() == 1 {
        return Err(StepError::retryable("the gateway is busy"));
    }
    Ok(json!({ "charged": order["total"] }))
}

/// Of a priced order, who is told of it learns the total alone.
struct Totals;

#[async_trait::async_trait]
impl StepEventPublisher for Totals {
    fn name(&self) -> &str {
        "totals"
    }

    async fn publish(&self, _event: &str, step: &StepEventContext) -> anyhow::Result<Option<Value>> {
        Ok(step.result.as_ref().and_then(|result| result.get("total").cloned()))
    }
}

tasker::register_publisher!(Totals);

/// What happened to orders, by task, as the receipts tell it.
pub(crate) static RECEIPTS: Mutex<Vec<(String, String, Value)>> = Mutex::new(Vec::new());

/// Writes a receipt for everything that happens to an order.
#[event_subscriber(event = "checkout.*")]
async fn receipts(event: StepEvent) -> anyhow::Result<()> {
    let mut receipts = RECEIPTS.lock().map_err(|_| anyhow::anyhow!("the receipts are gone"))?;
    receipts.push((event.context.task_uuid, event.name, event.payload));
    Ok(())
}
