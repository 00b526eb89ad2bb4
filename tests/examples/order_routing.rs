//! A decision written by hand: which steps go on, and which are skipped.

use serde_json::json;
use tasker::testing::TestApp;

#[path = "../../examples/order_routing/guide.rs"]
#[allow(unreachable_pub, clippy::redundant_closure_for_method_calls, reason = "kept as the guide has it")]
mod guide;
#[path = "../../examples/order_routing/handlers.rs"]
mod handlers;

const TEMPLATE: &str = include_str!("../../examples/order_routing/templates/order_routing.yaml");
const BRANCHES: [&str; 4] = ["high_value_review", "priority_fulfillment", "standard_fulfillment", "low_value_batch"];

/// An order of this total: these branches run, and the others are skipped.
#[track_caller]
fn check(order_total: u32, expected: &[&str], reason: &str) -> impl Future<Output = ()> {
    let app = TestApp::with_handlers(handlers::registry()).template(TEMPLATE);
    let skipped: Vec<&str> = BRANCHES.into_iter().filter(|branch| !expected.contains(branch)).collect();
    let routed = json!({
        "activated_steps": expected,
        "routing_context": { "reason": reason, "order_total": f64::from(order_total) },
    });
    async move {
        let run = app.run("order_routing", json!({ "order_total": order_total })).await;
        run.assert_completed().assert_result("route_order", &routed).assert_skipped(skipped);
    }
}

#[tokio::test]
async fn an_order_takes_the_branch_that_its_total_calls_for() {
    check(1_500, &["high_value_review", "priority_fulfillment"], "high_value_order").await;
    check(500, &["standard_fulfillment"], "standard_order").await;
    check(50, &["low_value_batch"], "low_value_order").await;
}

#[tokio::test]
async fn each_branch_has_the_result_of_its_own_handler() {
    let app = TestApp::with_handlers(handlers::registry()).template(TEMPLATE);
    let run = app.run("order_routing", json!({ "order_total": 1_500 })).await;
    run.assert_result("high_value_review", &json!("an order of 1500 was reviewed"))
        .assert_result("priority_fulfillment", &json!("sent by express"))
        .assert_order(["route_order", "high_value_review"]);
    assert_eq!(app.run("order_routing", json!({ "order_total": 500 })).await.result("standard_fulfillment"), "sent");
}

#[tokio::test]
async fn a_router_that_names_no_step_after_it_fails_with_its_branches() {
    let app = TestApp::with_handlers(handlers::registry())
        .template(TEMPLATE)
        .mock("order_router", |_| Ok(json!({ "activated_steps": ["express"] })));
    let run = app.run("order_routing", json!({})).await;
    run.assert_failed().assert_skipped([]);
    let told = "the decision `route_order` chose `express`, which is no step after it; its branches begin with \
                `high_value_review`, `priority_fulfillment`, `standard_fulfillment`, `low_value_batch`";
    assert_eq!(run.errors("route_order"), [told]);
    let step = run.step("route_order");
    assert_eq!((step.attempt, &step.detail.as_ref().expect("it says why")["error_code"]), (1, &json!("BAD_DECISION")));
}

#[tokio::test]
async fn a_router_is_given_what_its_template_maps() {
    let template = TEMPLATE.replace(
        "  - name: route_order\n    type: decision\n    handler: order_router\n",
        "  - name: validate_order\n  - name: route_order\n    type: decision\n    handler: order_router\n    \
         dependencies: [validate_order]\n    inputs: { order_total: validate_order.order_total }\n",
    );
    let app = TestApp::with_handlers(handlers::registry())
        .template(template)
        .mock("validate_order", |step| Ok(json!({ "order_total": step.get_input::<f64>("amount")? })));
    for (amount, branch) in [(1_500, "high_value_review"), (500, "standard_fulfillment"), (50, "low_value_batch")] {
        // The branch that reviews reads the context; the router does not.
        let run = app.run("order_routing", json!({ "amount": amount, "order_total": 1 })).await;
        run.assert_completed();
        assert_eq!(run.result("route_order")["activated_steps"][0], branch);
    }
}
