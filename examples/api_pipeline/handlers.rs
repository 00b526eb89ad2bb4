//! Four steps: three that call the service, each in one of the forms that a handler can have, and one between them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tasker::{
    ApiError, ApiHandler, StepExecutionResult, StepHandlerConfig, TaskSequenceStep, step_handler, success_result,
};

/// What a customer has ordered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    customer: String,
    cents: u64,
}

/// What each customer has to pay.
pub(crate) type Totals = BTreeMap<String, u64>;

/// Fetches the orders of a day. An error of the call is the failure of the step: `?` keeps its class, code and delay.
#[step_handler]
pub(crate) async fn fetch_orders(#[input] day: &str, #[state] api: &ApiHandler) -> Result<Vec<Order>, ApiError> {
    api.get(&format!("/orders?day={day}")).await?.json()
}

/// Adds up what each customer has ordered.
#[step_handler]
pub(crate) async fn total_by_customer(#[dependency(fetch_orders)] orders: Vec<Order>) -> Totals {
    let mut totals = Totals::new();
    for order in orders {
        *totals.entry(order.customer).or_default() += order.cents;
    }
    totals
}

/// What the service has noted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    id: u64,
    /// How often it was asked for this report.
    asked: u64,
}

/// Sends the totals to where the template says.
pub(crate) struct SendReport {
    path: String,
}

#[step_handler]
impl SendReport {
    fn new(config: &StepHandlerConfig) -> anyhow::Result<Self> {
        Ok(Self { path: config.get("path")? })
    }

    async fn call(
        &self,
        #[dependency(total_by_customer)] totals: Totals,
        #[state] api: &ApiHandler,
    ) -> anyhow::Result<Report> {
        Ok(api.post(&self.path, &totals).await?.json()?)
    }
}

/// Reads the report back: the raw form, which says itself what each failure is.
#[step_handler]
pub(crate) async fn read_report(
    step: &TaskSequenceStep,
    #[dependency(SendReport)] report: Report,
    #[state] api: &ApiHandler,
) -> anyhow::Result<StepExecutionResult> {
    let step_uuid = step.workflow_step.workflow_step_uuid;
    let answer = api.get(&format!("/reports/{}", report.id)).await;
    match answer.and_then(|answer| answer.json::<Value>()) {
        Ok(mut noted) => {
            noted["asked"] = report.asked.into();
            Ok(success_result(step_uuid, noted, 0, None))
        }
        Err(error) => Ok(error.into_result(step_uuid)),
    }
}
