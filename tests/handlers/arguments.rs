//! Where arguments come from, and what is said where they do not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tasker::testing::{TestStep, create_test_step_data};
use tasker::{FromStep, RustStepHandlerRegistry, StepContext, StepError, TaskSequenceStep, error_types, step_handler};

use super::{failure, run, run_with};

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    price: f64,
}

#[step_handler]
async fn inputs(
    #[input("customer.id")] customer: i64,
    #[input] items: Vec<Item>,
    #[input(default = 5_000)] timeout_ms: i64,
    #[input] coupon: Option<String>,
    #[input(default)] tags: Vec<String>,
    #[input("currency", default = "EUR")] currency: &str,
) -> Value {
    json!({
        "customer": customer,
        "prices": items.iter().map(|item| item.price).collect::<Vec<_>>(),
        "timeout_ms": timeout_ms,
        "coupon": coupon,
        "tags": tags,
        "currency": currency,
    })
}

#[tokio::test]
async fn inputs_are_read_from_the_context_by_path_or_by_the_arguments_name() {
    let context = json!({
        "customer": { "id": 7 },
        "items": [{ "price": 1.5 }],
        "timeout_ms": 10,
        "coupon": "SPRING",
        "tags": ["a"],
        "currency": "USD",
    });
    let result = run("inputs", &create_test_step_data(context)).await;
    let expected = json!({
        "customer": 7, "prices": [1.5], "timeout_ms": 10, "coupon": "SPRING", "tags": ["a"], "currency": "USD",
    });
    assert_eq!(result.result, expected);
}

#[tokio::test]
async fn what_is_absent_or_null_is_none_or_its_default() {
    let expected = json!({
        "customer": 7, "prices": [], "timeout_ms": 5_000, "coupon": null, "tags": [], "currency": "EUR",
    });
    let absent = json!({ "customer": { "id": 7 }, "items": [] });
    assert_eq!(run("inputs", &create_test_step_data(absent)).await.result, expected);
    let null = json!({
        "customer": { "id": 7 }, "items": [], "timeout_ms": null, "coupon": null, "tags": null, "currency": null,
    });
    assert_eq!(run("inputs", &create_test_step_data(null)).await.result, expected);
}

async fn refusal(context: Value) -> String {
    let result = run("inputs", &create_test_step_data(context)).await;
    let (text, error_type, retryable) = failure(&result);
    assert_eq!((error_type, retryable), (error_types::VALIDATION_ERROR, false));
    text.to_owned()
}

#[tokio::test]
async fn a_missing_input_is_named_and_not_tried_again() {
    assert_eq!(refusal(json!({ "items": [] })).await, "the task's context has no `customer.id`");
    assert_eq!(refusal(json!({ "customer": { "id": 1 } })).await, "the task's context has no `items`");
}

#[tokio::test]
async fn an_input_of_another_shape_is_told_with_its_place_and_the_reason() {
    assert_eq!(
        refusal(json!({ "customer": { "id": "seven" } })).await,
        "`customer.id` of the task's context: invalid type: string \"seven\", expected i64"
    );
    assert_eq!(
        refusal(json!({ "customer": { "id": 1 }, "items": [{ "price": 1 }, { "price": "dear" }] })).await,
        "`items[1].price` of the task's context: invalid type: string \"dear\", expected f64"
    );
    assert_eq!(
        refusal(json!({ "customer": { "id": 1 }, "items": [{}] })).await,
        "`items[0]` of the task's context: missing field `price`"
    );
    assert_eq!(
        refusal(json!({ "customer": { "id": 1 }, "items": null })).await,
        "`items` of the task's context: invalid type: null, expected a sequence"
    );
}

#[tokio::test]
async fn a_default_does_not_hide_a_value_of_another_shape() {
    let text = refusal(json!({ "customer": { "id": 1 }, "items": [], "timeout_ms": "soon" })).await;
    assert_eq!(text, "`timeout_ms` of the task's context: invalid type: string \"soon\", expected i64");
}

#[step_handler]
async fn whole_context(#[context] order: BTreeMap<String, i64>, #[context] same: &Value) -> bool {
    order.len() == same.as_object().map_or(0, serde_json::Map::len)
}

#[tokio::test]
async fn the_context_can_be_had_as_a_whole() {
    assert_eq!(run("whole_context", &create_test_step_data(json!({ "a": 1, "b": 2 }))).await.result, json!(true));
    let result = run("whole_context", &create_test_step_data(json!({ "a": "x" }))).await;
    assert_eq!(failure(&result).0, "the task's context: `a`: invalid type: string \"x\", expected i64");
}

#[derive(Deserialize)]
struct Limits {
    most: u32,
}

#[step_handler]
async fn configured(
    #[config] whole: Limits,
    #[config("most")] most: u32,
    #[config("gateway.url", default = "none")] url: &str,
    #[config("comment")] comment: Option<String>,
) -> Value {
    json!([whole.most, most, url, comment])
}

#[tokio::test]
async fn configuration_comes_from_the_templates_initialization() {
    let step = create_test_step_data(json!({}));
    let result = run_with("configured", json!({ "most": 3, "gateway": { "url": "u" } }), &step).await;
    assert_eq!(result.result, json!([3, 3, "u", null]));
    let result = run_with("configured", json!({ "most": 3 }), &step).await;
    assert_eq!(result.result, json!([3, 3, "none", null]));
    let result = run("configured", &step).await;
    assert_eq!(failure(&result), ("the handler's `initialization`: missing field `most`", "validation_error", false));
    let result = run_with("configured", json!({ "most": 3, "gateway": { "url": 5 } }), &step).await;
    let text = "`gateway.url` of the handler's `initialization`: invalid type: integer `5`, expected a string";
    assert_eq!(failure(&result).0, text);
}

#[step_handler]
async fn validated() -> Item {
    Item { price: 1.5 }
}

#[step_handler]
async fn skippable() -> String {
    String::new()
}

#[step_handler]
async fn dependent(
    #[dependency(validated)] item: Item,
    #[dependency("validated_elsewhere", partial)] price: Option<f64>,
    #[dependency(skippable)] wrap: Option<String>,
    #[dependencies(prefix = "worker_")] workers: BTreeMap<String, i64>,
) -> Value {
    json!([item.price, price, wrap, workers])
}

#[tokio::test]
async fn dependencies_are_the_results_of_earlier_steps() {
    let step = TestStep::new(json!({}))
        .dependency("validated", json!({ "price": 2.5 }))
        .dependency("skippable", Value::Null)
        .dependency("worker_001", json!(1))
        .dependency("worker_002", json!(2));
    let result = run("dependent", &step.build()).await;
    assert_eq!(result.result, json!([2.5, null, null, { "worker_001": 1, "worker_002": 2 }]));
}

#[tokio::test]
async fn a_dependency_that_is_missing_null_or_misshapen_is_named() {
    let text = |step: TestStep| async move {
        let result = run("dependent", &step.build()).await;
        let (text, error_type, retryable) = failure(&result);
        assert_eq!((error_type, retryable), (error_types::VALIDATION_ERROR, false));
        text.to_owned()
    };
    assert_eq!(
        text(TestStep::new(json!({}))).await,
        "there is no result of a step `validated`; it must be among the step's dependencies, or before them"
    );
    assert_eq!(
        text(TestStep::new(json!({})).dependency("validated", Value::Null)).await,
        "the result of step `validated`: it is null: the step was skipped, or returned nothing; \
         a handler that can do without takes an `Option`"
    );
    assert_eq!(
        text(TestStep::new(json!({})).dependency("validated", json!({ "price": "dear" }))).await,
        "the result of step `validated`: `price`: invalid type: string \"dear\", expected f64"
    );
}

#[derive(Clone)]
struct Pool(&'static str);

#[step_handler]
async fn stateful(#[state] pool: &Pool, #[state] own: Pool, #[state] url: &str) -> String {
    format!("{} {} {url}", pool.0, own.0)
}

#[tokio::test]
async fn state_is_lent_or_cloned() {
    let step = TestStep::new(json!({})).state(Pool("p")).state("url".to_owned()).build();
    assert_eq!(run("stateful", &step).await.result, json!("p p url"));
}

#[step_handler]
async fn stateful_if_any(#[state] pool: Option<&Pool>, #[state] url: Option<&str>) -> String {
    tokio::task::yield_now().await;
    format!("{} {}", pool.map_or("none", |pool| pool.0), url.unwrap_or("none"))
}

#[step_handler(blocking)]
fn stateful_if_any_blocking(#[state] sizes: Option<&[u8]>) -> usize {
    sizes.map_or(0, <[u8]>::len)
}

#[tokio::test]
async fn state_that_a_handler_can_do_without_is_none_where_it_is_missing() {
    let step = TestStep::new(json!({})).state(Pool("p")).build();
    assert_eq!(run("stateful_if_any", &step).await.result, json!("p none"));
    assert_eq!(run("stateful_if_any_blocking", &step).await.result, json!(0));
    let step = TestStep::new(json!({})).state("url".to_owned()).state(vec![1_u8, 2]).build();
    assert_eq!(run("stateful_if_any", &step).await.result, json!("none url"));
    assert_eq!(run("stateful_if_any_blocking", &step).await.result, json!(2));
    let needs = RustStepHandlerRegistry::new().find_entry("stateful_if_any").map(|entry| entry.state.len());
    assert_eq!(needs, Some(0), "a start does without it, too");
}

#[tokio::test]
async fn missing_state_is_a_failure_of_the_application_not_of_the_input() {
    let result = run("stateful", &create_test_step_data(json!({}))).await;
    let text = "the application's state has no `handlers::arguments::Pool`: add it with `.state(..)`";
    assert_eq!(failure(&result), (text, error_types::HANDLER_ERROR, false));
    assert_eq!(result.error_code(), Some("MISSING_STATE"));
}

struct Tenant<'s>(&'s str);

impl<'s> FromStep<'s> for Tenant<'s> {
    fn from_step(step: &'s TaskSequenceStep) -> Result<Self, StepError> {
        let tenant = step.task.context["tenant"].as_str();
        tenant.map(Tenant).ok_or_else(|| StepError::retryable("no tenant yet").with_code("NO_TENANT"))
    }
}

#[step_handler]
async fn extracted(tenant: Tenant<'_>, step: &TaskSequenceStep, ctx: StepContext<'_>) -> Value {
    json!([tenant.0, step.workflow_step.name, ctx.attempt(), ctx.is_last_attempt(), ctx.is_cancelled()])
}

#[tokio::test]
async fn an_application_has_extractors_of_its_own() {
    let step = TestStep::new(json!({ "tenant": "t" })).name("s").attempt(3).build();
    assert_eq!(run("extracted", &step).await.result, json!(["t", "s", 3, true, false]));
    let result = run("extracted", &create_test_step_data(json!({}))).await;
    assert_eq!(failure(&result), ("no tenant yet", error_types::RETRYABLE_ERROR, true));
}

#[step_handler]
async fn named(#[input] r#type: String, #[input] _unused: i64, #[input("pair")] (a, b): (i64, i64)) -> Value {
    json!([r#type, a, b])
}

#[tokio::test]
async fn an_arguments_name_is_its_key_without_its_dress() {
    let step = create_test_step_data(json!({ "type": "t", "unused": 1, "pair": [2, 3] }));
    assert_eq!(run("named", &step).await.result, json!(["t", 2, 3]));
    let result = run("named", &create_test_step_data(json!({ "type": "t" }))).await;
    assert_eq!(failure(&result).0, "the task's context has no `unused`");
}

#[tokio::test]
async fn a_test_of_a_handler_is_a_call_of_the_function() {
    assert_eq!(named("t".to_owned(), 0, (1, 2)).await, json!(["t", 1, 2]));
}

#[tokio::test]
async fn the_idempotency_key_stays_over_attempts() {
    let first = TestStep::new(json!({})).name("charge").build();
    let mut second = first.clone();
    second.workflow_step.attempt = 2;
    let key = StepContext::new(&first).idempotency_key();
    assert_eq!(StepContext::new(&second).idempotency_key(), key);
    assert_eq!(key, format!("{}:charge", first.task.task_uuid));
}

#[tokio::test]
async fn a_cancelled_attempt_hears_of_it() {
    let token = tokio_util::sync::CancellationToken::new();
    let step = TestStep::new(json!({})).cancellation(token.clone()).build();
    let context = StepContext::new(&step);
    assert!(!context.is_cancelled());
    token.cancel();
    context.cancelled().await;
    assert!(context.is_cancelled());
}
