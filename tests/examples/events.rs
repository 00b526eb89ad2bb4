//! Events of steps, and who is given them.

use std::time::Duration;

use serde_json::{Value, json};
use tasker::testing::TestApp;

#[path = "../../examples/events/handlers.rs"]
mod handlers;

const TEMPLATE: &str = include_str!("../../examples/events/templates/checkout.yaml");

/// The receipts of a task that was run with these prices.
async fn receipts(prices: Value) -> Vec<(String, Value)> {
    let app = TestApp::new().template(TEMPLATE);
    let task = app.run("checkout", json!({ "prices": prices })).await.view().row.id.to_string();
    app.skip(Duration::from_secs(5)).await;
    let receipts = handlers::RECEIPTS.lock().expect("no test panicked with it");
    receipts.iter().filter(|(of, ..)| *of == task).map(|(_, name, payload)| (name.clone(), payload.clone())).collect()
}

#[tokio::test]
async fn everything_that_happens_to_an_order_has_its_receipt() {
    let [priced, declined, charged] = receipts(json!([29.99, 29.99])).await.try_into().unwrap();
    assert_eq!(priced, ("checkout.priced".to_owned(), json!(59.98)));
    assert_eq!((&*declined.0, &declined.1["message"]), ("checkout.declined", &json!("the gateway is busy")));
    assert_eq!(charged, ("checkout.charged".to_owned(), json!({ "charged": 59.98 })));
}

#[tokio::test]
async fn an_empty_order_is_refused_and_that_is_told() {
    let [(name, payload)] = receipts(json!([])).await.try_into().unwrap();
    assert_eq!((&*name, &payload["error_code"]), ("checkout.refused", &json!("EMPTY_ORDER")));
}
