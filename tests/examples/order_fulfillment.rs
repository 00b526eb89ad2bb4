//! The order, from validation to shipping.

use serde_json::{Value, json};
use tasker::StepState;
use tasker::testing::TestApp;

#[path = "../../examples/order_fulfillment/handlers.rs"]
mod handlers;

const TEMPLATE: &str = include_str!("../../examples/order_fulfillment/templates/order_fulfillment.yaml");
const INPUT: &str = include_str!("../../examples/order_fulfillment/order.json");

fn app() -> TestApp {
    TestApp::new().template(TEMPLATE)
}

fn input(change: impl FnOnce(&mut Value)) -> Value {
    let mut input = serde_json::from_str(INPUT).expect("it is JSON");
    change(&mut input);
    input
}

#[tokio::test]
async fn an_order_is_validated_reserved_paid_and_shipped() {
    let run = app().run("order_fulfillment", input(|_| ())).await;
    run.assert_completed()
        .assert_order(["validate_order", "reserve_inventory", "process_payment", "ship_order"])
        .assert_result(
            "validate_order",
            &json!({
                "customer_id": 123,
                "validated_items": [{ "product_id": 1, "quantity": 2, "price": 29.99 }],
                "order_total": 59.98,
                "validation_status": "complete",
            }),
        )
        .assert_result("reserve_inventory", &json!({ "reservation_id": "RES-123", "items_reserved": 1 }))
        .assert_result("process_payment", &json!({ "payment_id": "PAY-123", "amount": 59.98 }))
        .assert_result(
            "ship_order",
            &json!({
                "order_total": 59.98,
                "payment_id": "PAY-123",
                "shipping_status": "shipped",
                "tracking_number": "TRK-123",
            }),
        );
}

#[tokio::test]
async fn an_order_without_items_fails_for_good() {
    let run = app().run("order_fulfillment", input(|order| order["items"] = json!([]))).await;
    run.assert_failed().assert_step("validate_order", StepState::Failed);
    let step = run.step("validate_order");
    let detail = step.detail.as_ref().expect("it says why");
    assert_eq!(step.attempt, 1);
    assert_eq!(detail["message"], "Order items cannot be empty");
    assert_eq!(detail["error_code"], "EMPTY_ORDER");
    assert_eq!(detail["error_type"], "ValidationError");
    assert_eq!(detail["retryable"], false);
}

#[tokio::test]
async fn an_order_without_a_customer_names_the_field() {
    let run = app().run("order_fulfillment", input(|order| order["customer"] = json!({}))).await;
    run.assert_failed();
    let detail = run.step("validate_order").detail.clone().expect("it says why");
    assert_eq!(detail["message"], "the task's context has no `customer.id`");
    assert_eq!(detail["error_type"], "validation_error");
    assert_eq!(run.step("validate_order").attempt, 1);
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_is_asked_again() {
    let run = app().run("order_fulfillment", input(|order| order["payment"] = json!({ "timeouts": 2 }))).await;
    run.assert_completed();
    let step = run.step("process_payment");
    assert_eq!((step.attempt, step.attempts.len()), (3, 2));
    assert_eq!(run.errors("process_payment"), ["the gateway did not answer"; 2]);
    assert_eq!(run.step("validate_order").attempt, 1);
}

#[tokio::test]
async fn an_order_comes_to_the_same_end_whenever_the_worker_dies() {
    let impatient = input(|order| order["payment"] = json!({ "timeouts": 1 }));
    let crashes = app().crash_at_every_commit("order_fulfillment", impatient).await;
    crashes.assert_completed().assert_same_end();
    assert!(crashes.iter().any(|crash| crash.what() == "the failure of `process_payment`"));
}

#[tokio::test]
async fn a_stolen_card_ends_the_order() {
    let run = app().run("order_fulfillment", input(|order| order["payment"] = json!({ "card": "stolen" }))).await;
    run.assert_failed().assert_step("ship_order", StepState::Pending);
    let detail = run.step("process_payment").detail.clone().expect("it says why");
    assert_eq!((&detail["error_code"], &detail["error_type"]), (&json!("CARD_DECLINED"), &json!("permanent_error")));
}

#[test]
fn the_linked_handlers_are_all_that_the_template_needs() {
    tasker::testing::assert_complete_in(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/order_fulfillment/templates"));
}

#[test]
#[should_panic(expected = "template `t` needs handler `nobody_wrote_this`")]
fn a_handler_that_nobody_wrote_is_told_before_a_worker_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("t.yaml"), "name: t\nsteps: [{ name: nobody_wrote_this }]\n").expect("a file");
    tasker::testing::assert_complete_in(folder.path());
}
