//! Handlers written by hand, beside an annotated one.

use serde_json::json;
use tasker::testing::{TestApp, create_test_step_data};
use tasker::{RustStepHandler as _, StepHandlerConfig, error_types};

#[path = "../../examples/hand_written/guide.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "kept as the guide has it"
)]
mod guide;
#[path = "../../examples/hand_written/handlers.rs"]
mod handlers;

use guide::ValidateOrderHandler;

const TEMPLATE: &str = include_str!("../../examples/hand_written/templates/order_check.yaml");
const INPUT: &str = include_str!("../../examples/hand_written/input.json");

fn app() -> TestApp {
    TestApp::with_handlers(handlers::registry()).template(TEMPLATE)
}

// As the older engine's guide tests its handler.
#[tokio::test]
async fn test_validate_order_handler() {
    let handler = ValidateOrderHandler::new(StepHandlerConfig::default());

    // Create mock step data
    let step_data = create_test_step_data(json!({
        "customer": {"id": 123, "email": "test@example.com"},
        "items": [
            {"product_id": 1, "quantity": 2, "price": 29.99}
        ]
    }));

    let result = handler.call(&step_data).await.unwrap();

    assert!(result.success);
    assert_eq!(result.result["order_total"], 59.98);
}

#[tokio::test]
async fn both_kinds_of_handlers_run_in_one_task() {
    let run = app().run("order_check", serde_json::from_str(INPUT).expect("it is JSON")).await;
    run.assert_completed()
        .assert_result("my_handler", &json!({ "result": "processed" }))
        .assert_result(
            "validate",
            &json!({
                "customer_id": 123,
                "validated_items": [{ "product_id": 1, "quantity": 2, "price": 29.99 }],
                "order_total": 59.98,
                "validation_status": "complete",
            }),
        )
        .assert_result("confirm", &json!("customer 123 orders for 59.98"));
}

#[tokio::test]
async fn an_error_result_keeps_its_code_and_type_and_is_not_tried_again() {
    let run = app().run("order_check", json!({ "customer": { "id": 123 }, "items": [] })).await;
    run.assert_failed();
    let step = run.step("validate");
    let detail = step.detail.as_ref().expect("it says why");
    assert_eq!(step.attempt, 1);
    assert_eq!(detail["message"], "Order items cannot be empty");
    assert_eq!(detail["error_code"], "EMPTY_ORDER");
    assert_eq!(detail["error_type"], "ValidationError");
}

#[tokio::test]
async fn an_err_of_a_hand_written_handler_is_unrecoverable() {
    let run = app().run("order_check", json!({ "customer": {}, "items": [] })).await;
    run.assert_failed();
    let step = run.step("validate");
    let detail = step.detail.as_ref().expect("it says why");
    assert_eq!(step.attempt, 1);
    assert_eq!(detail["message"], "Customer ID is required");
    assert_eq!(detail["error_type"], "handler_error");
}

#[test]
fn the_registry_knows_both_kinds() {
    let registry = handlers::registry();
    assert!(registry.is_registered("my_handler") && registry.is_registered("confirm_order"));
    assert_eq!(registry.get_handler("validate_order").expect("it is there").name(), "validate_order");
    assert!(registry.list_handlers().contains(&"validate_order".to_owned()));
    assert!(registry.resolve("nobody").is_none());
}

#[test]
fn the_error_types_are_the_five_of_the_documents() {
    let standard = ["permanent_error", "retryable_error", "validation_error", "timeout", "handler_error"];
    assert_eq!(error_types::ALL, standard);
    assert!(standard.into_iter().all(error_types::is_standard));
    assert!(!error_types::is_standard("ValidationError"));
    let retryable: Vec<&str> = standard.into_iter().filter(|kind| error_types::is_typically_retryable(kind)).collect();
    assert_eq!(retryable, ["retryable_error", "timeout"]);
}
