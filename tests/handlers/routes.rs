//! Typed decisions: what a route is made of, and what is known of its handler.

use std::collections::BTreeMap;

use serde_json::json;
use tasker::testing::{TestStep, create_test_step_data};
use tasker::{Route, RustStepHandlerRegistry, StepError, step_handler};

use super::{failure, run};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Route)]
enum Lane {
    Fast,
    #[route("slow_lane", "tell_customer")]
    Slow,
    #[route()]
    Closed,
}

/// The lane for so many parcels.
#[step_handler]
async fn pick_lane(#[input] parcels: u32) -> Result<Route<Lane>, StepError> {
    match parcels {
        0 => Err(StepError::permanent("there is nothing to send")),
        1..10 => Ok(Route::to(Lane::Fast)),
        _ => Ok(Route::to(Lane::Slow).with_context(json!({ "parcels": parcels }))),
    }
}

#[step_handler]
async fn close_lane() -> Route<Lane> {
    Route::to(Lane::Closed)
}

#[step_handler]
async fn pick_oddly() -> Route<Lane> {
    Route::to(Lane::Fast).with_context(BTreeMap::from([((), 1)]))
}

#[step_handler]
async fn read_lane(#[dependency(pick_lane)] route: Route<Lane>) -> String {
    format!("{:?} with {}", route.branch(), route.context())
}

#[tokio::test]
async fn a_route_is_exactly_two_keys_and_is_read_back() {
    let fast = run("pick_lane", &create_test_step_data(json!({ "parcels": 1 }))).await;
    assert_eq!(fast.result, json!({ "activated_steps": ["fast"], "routing_context": {} }));
    let slow = run("pick_lane", &create_test_step_data(json!({ "parcels": 10 }))).await;
    let expected = json!({ "activated_steps": ["slow_lane", "tell_customer"], "routing_context": { "parcels": 10 } });
    assert_eq!(slow.result, expected);
    let closed = run("close_lane", &create_test_step_data(json!({}))).await;
    assert_eq!(closed.result, json!({ "activated_steps": [], "routing_context": {} }));
    for (result, told) in [(fast.result, "Fast with null"), (slow.result, "Slow with {\"parcels\":10}")] {
        let step = TestStep::new(json!({})).dependency("pick_lane", result).build();
        assert_eq!(run("read_lane", &step).await.result, told);
    }
}

#[tokio::test]
async fn a_decision_may_fail_like_any_other_step() {
    let refused = run("pick_lane", &create_test_step_data(json!({ "parcels": 0 }))).await;
    assert_eq!(failure(&refused), ("there is nothing to send", "permanent_error", false));
}

#[tokio::test]
async fn a_context_that_is_no_json_fails_the_attempt() {
    let odd = run("pick_oddly", &create_test_step_data(json!({}))).await;
    let (message, error_type, retryable) = failure(&odd);
    assert!(message.contains("the routing context: key must be a string"), "{message}");
    assert_eq!((error_type, retryable), ("handler_error", false));
}

#[tokio::test]
async fn steps_that_no_variant_names_are_not_taken_for_one() {
    for steps in [json!(["slow_lane"]), json!(["fast", "slow_lane"]), json!(["other"])] {
        let step = TestStep::new(json!({})).dependency("pick_lane", json!({ "activated_steps": steps })).build();
        let result = run("read_lane", &step).await;
        assert!(failure(&result).0.contains("no variant of the route names just these steps"), "{result:?}");
    }
}

#[test]
fn the_registry_knows_the_branches_of_a_typed_decision() {
    let registry = RustStepHandlerRegistry::new();
    let branches = |name| registry.find_entry(name).expect("it is linked").branches;
    assert_eq!(branches("pick_lane"), Some(&[&["fast"] as &[_], &["slow_lane", "tell_customer"], &[]] as &[_]));
    assert_eq!(branches("close_lane"), branches("pick_lane"));
    assert_eq!(branches("read_lane"), None);
}
