//! A typed decision, and the convergence that joins its branches.

use serde_json::{Value, json};
use tasker::StepError;
use tasker::testing::TestApp;

#[path = "../../examples/approval/handlers.rs"]
mod handlers;

const TEMPLATE: &str = include_str!("../../examples/approval/templates/approval.yaml");

/// Who approved an expense of this amount, and which steps were skipped.
async fn approved(amount: u64) -> (Value, Vec<String>) {
    let run = TestApp::new().template(TEMPLATE).run("approval", json!({ "amount": amount })).await;
    run.assert_completed();
    let outcome = run.result("finalize_approval");
    assert_eq!(outcome["amount"], amount);
    (outcome["approved_by"].clone(), run.skipped().into_iter().map(str::to_owned).collect())
}

#[tokio::test]
async fn amounts_at_the_bounds_are_approved_by_whom_they_call_for() {
    let (nobody, manager, finance) = ("auto_approve", "manager_approval", "finance_review");
    for (amount, by, skipped) in [
        (1, json!(["nobody"]), vec![manager, finance]),
        (999, json!(["nobody"]), vec![manager, finance]),
        (1_000, json!(["the manager"]), vec![nobody, finance]),
        (4_999, json!(["the manager"]), vec![nobody, finance]),
        (5_000, json!(["the manager", "finance"]), vec![nobody]),
        (u64::MAX, json!(["the manager", "finance"]), vec![nobody]),
    ] {
        assert_eq!(approved(amount).await, (by, skipped.into_iter().map(str::to_owned).collect()), "{amount}");
    }
}

#[tokio::test]
async fn a_typed_route_is_stored_with_its_steps_and_its_context() {
    let run = TestApp::new().template(TEMPLATE).run("approval", json!({ "amount": 5_000 })).await;
    run.assert_result(
        "route_approval",
        &json!({
            "activated_steps": ["manager_approval", "finance_review"],
            "routing_context": { "reason": "a large amount", "amount": 5_000 },
        }),
    )
    .assert_skipped(["auto_approve"])
    .assert_order(["manager_approval", "finalize_approval"])
    .assert_order(["finance_review", "finalize_approval"]);
}

#[tokio::test]
async fn a_decision_that_fails_fails_its_task_and_skips_nothing() {
    let run = TestApp::new().template(TEMPLATE).run("approval", json!({ "amount": 0 })).await;
    run.assert_failed().assert_skipped([]);
    assert_eq!(run.errors("route_approval"), ["there is nothing to approve"]);
}

// A handler of a decision is a function like any other.
#[tokio::test]
async fn the_route_that_a_handler_takes_is_tested_without_the_engine() {
    use handlers::Approval;
    let branch = async |amount| *handlers::route_approval(amount).await.expect("it decides").branch();
    assert_eq!(branch(999).await, Approval::Nobody);
    assert_eq!(branch(1_000).await, Approval::Manager);
    assert_eq!(branch(5_000).await, Approval::ManagerAndFinance);
}

#[tokio::test]
async fn what_depends_on_a_step_that_was_skipped_over_reads_none() {
    let steps = "\
name: over
steps:
  - { name: manager_approval, skippable: true, retry: { max_attempts: 2, backoff: none } }
  - { name: finance_review }
  - { name: finalize_approval, dependencies: [manager_approval, finance_review] }
";
    let app = TestApp::new()
        .template(steps)
        .mock("manager_approval", |_| Err(StepError::retryable("the manager is on holiday").into()));
    let run = app.run("over", json!({ "amount": 20 })).await;
    run.assert_completed()
        .assert_skipped(["manager_approval"])
        .assert_result("finalize_approval", &json!({ "amount": 20, "approved_by": ["finance"] }));
    assert_eq!(run.errors("manager_approval"), ["the manager is on holiday"; 2]);
}
