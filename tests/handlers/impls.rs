//! Handlers that hold something.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use tasker::testing::{TestStep, create_test_step_data};
use tasker::{RustStepHandlerRegistry, StepError, StepHandlerConfig, step_handler};

use super::{failure, run_with};

struct ChargeCard {
    url: String,
    charged: AtomicU32,
}

/// Charges the customer's card.
#[step_handler(name = "charge_card")]
impl ChargeCard {
    const LIMIT: f64 = 1_000.0;

    fn new(config: &StepHandlerConfig) -> anyhow::Result<Self> {
        Ok(Self { url: config.get("url")?, charged: AtomicU32::new(0) })
    }

    async fn call(&self, #[input] amount: f64, #[state] currency: &str) -> Result<String, StepError> {
        if amount > Self::LIMIT {
            return Err(StepError::permanent("over the limit"));
        }
        Ok(self.receipt(amount, currency))
    }

    fn receipt(&self, amount: f64, currency: &str) -> String {
        let number = self.charged.fetch_add(1, Ordering::Relaxed);
        format!("{}/{number}: {amount} {currency}", self.url)
    }
}

#[tokio::test]
async fn it_is_made_with_the_templates_initialization() {
    let step = TestStep::new(json!({ "amount": 2.5 })).state("EUR".to_owned()).build();
    let config = json!({ "url": "https://pay.example" });
    assert_eq!(run_with("charge_card", config.clone(), &step).await.result, json!("https://pay.example/0: 2.5 EUR"));
    let step = TestStep::new(json!({ "amount": 2_500 })).state("EUR".to_owned()).build();
    assert_eq!(failure(&run_with("charge_card", config, &step).await).0, "over the limit");
}

#[tokio::test]
async fn one_handler_serves_many_steps() {
    let found = RustStepHandlerRegistry::new().find("charge_card", "").expect("it is linked");
    let handler = found.build(json!({ "url": "u" }).into()).expect("it can be made");
    let step = TestStep::new(json!({ "amount": 1 })).state("EUR".to_owned()).build();
    let results = tokio::join!(handler.call(&step), handler.call(&step));
    assert_eq!(results.0.expect("it runs").result, json!("u/0: 1 EUR"));
    assert_eq!(results.1.expect("it runs").result, json!("u/1: 1 EUR"));
}

#[test]
fn what_new_refuses_is_told_when_the_handler_is_made() {
    let found = RustStepHandlerRegistry::new().find("charge_card", "").expect("it is linked");
    let error = found.build(StepHandlerConfig::default()).err().expect("there is no url");
    assert_eq!(error.to_string(), "the handler's `initialization` has no `url`");
}

#[tokio::test]
async fn it_can_be_tested_without_the_engine() {
    let charge = ChargeCard::new(&json!({ "url": "u" }).into()).expect("it can be made");
    assert_eq!(charge.call(1.0, "EUR").await.expect("it runs"), "u/0: 1 EUR");
}

struct Plain;

#[step_handler]
impl Plain {
    fn new() -> Self {
        Self
    }

    async fn call(&self) -> u8 {
        3
    }
}

#[tokio::test]
async fn without_a_name_it_has_the_types() {
    assert_eq!(run_with("plain", json!({}), &create_test_step_data(json!({}))).await.result, json!(3));
}
