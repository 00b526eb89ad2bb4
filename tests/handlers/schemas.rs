//! Schemas out of the types of handlers: what is submitted and what is given by hand is held against them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tasker::schemars::{self, JsonSchema};
use tasker::testing::TestApp;
use tasker::{HandlerEntry, Route, RustStepHandlerRegistry, StepError, StepNumber, TaskRequest, step_handler};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Line {
    sku: String,
    price: f64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Total {
    total: f64,
    lines: Vec<Line>,
}

/// A type that says no schema.
#[derive(Debug, Deserialize, Serialize)]
struct Opaque(u8);

#[step_handler]
async fn add_up(
    #[input] lines: Vec<Line>,
    #[input("customer.id")] customer: u32,
    #[input] coupon: Option<String>,
    #[input(default)] tags: Vec<String>,
    #[input(default = Opaque(1))] opaque: Opaque,
) -> Result<Total, StepError> {
    if customer == 0 {
        return Err(StepError::permanent(format!("{coupon:?} {tags:?} {opaque:?}")));
    }
    Ok(Total { total: lines.iter().map(|line| line.price).sum(), lines })
}

#[step_handler]
async fn way(#[dependency(add_up)] total: Total) -> Value {
    json!({ "activated_steps": if total.total > 100.0 { vec!["review"] } else { vec![] } })
}

#[step_handler]
async fn review(#[input] reviewer: String) -> String {
    reviewer
}

fn entry(name: &str) -> &'static HandlerEntry {
    RustStepHandlerRegistry::new().find_entry(name).expect("it is linked")
}

const TEMPLATE: &str = "
name: order
steps:
  - { name: add_up, retry: { retryable: false } }
  - { name: way, type: decision, dependencies: [add_up] }
  - { name: review, dependencies: [way] }
";

fn app(template: &str) -> TestApp {
    // Without the subscribers of other tests, which take state.
    TestApp::with_handlers(RustStepHandlerRegistry::new()).template(template)
}

async fn refused(app: &TestApp, context: Value) -> String {
    let engine = app.engine().clone();
    let request = TaskRequest { name: "order".to_owned(), context, ..TaskRequest::default() };
    let error = app.drive(async move { engine.submit(request).await }).await.expect_err("it does not fit");
    assert_eq!(error.code(), "E204", "{error}");
    error.to_string()
}

#[test]
fn a_handler_says_the_schemas_of_what_it_takes_and_gives() {
    let entry = entry("add_up");
    let inputs: Vec<_> = entry.inputs.iter().map(|input| (input.key, input.optional, input.schema.is_some())).collect();
    let expected = [
        ("lines", false, true),
        ("customer.id", false, true),
        ("coupon", true, true),
        ("tags", true, true),
        ("opaque", true, false),
    ];
    assert_eq!(inputs, expected);
    let given = entry.result_schema.expect("its type says one")();
    assert_eq!(given["properties"]["total"]["type"], "number");
    assert_eq!(given["required"], json!(["total", "lines"]));
    let untyped: Option<fn() -> Value> = <Route<()> as Probe>::GIVEN;
    assert!(untyped.is_none(), "a type that says none has none");
}

/// Asks as generated code does.
trait Probe {
    const GIVEN: Option<fn() -> Value>;
}

impl<T> Probe for Route<T> {
    const GIVEN: Option<fn() -> Value> = {
        use tasker::__private::{NoSchema as _, SchemaOf};
        SchemaOf::<Self>::GIVEN
    };
}

#[tokio::test]
async fn what_is_submitted_is_held_against_what_handlers_take() {
    let app = app(TEMPLATE);
    let line = json!({ "sku": "a", "price": 1.5 });
    let told = refused(&app, json!({ "lines": [line, { "sku": "b" }], "customer": { "id": -1 } })).await;
    for part in [
        "step `add_up` cannot take it: `lines[1]`: \"price\" is a required property",
        "step `add_up` cannot take it: `customer.id`: the value is less than the minimum of 0",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let told = refused(&app, json!({ "lines": [], "coupon": 7 })).await;
    assert!(
        told.contains("`customer.id` is missing") && told.contains("`coupon`: the value is not of types"),
        "{told}"
    );
    let fits = json!({ "lines": [line], "customer": { "id": 7 }, "coupon": null, "tags": null });
    app.run("order", fits).await.assert_completed();
}

#[tokio::test]
async fn what_only_a_step_takes_that_may_not_run_is_not_asked_for() {
    let app = app(TEMPLATE);
    let small = json!({ "lines": [{ "sku": "a", "price": 1 }], "customer": { "id": 7 } });
    app.run("order", small).await.assert_completed();
    let large = json!({ "lines": [{ "sku": "a", "price": 1_000 }], "customer": { "id": 7 } });
    app.run("order", large).await.assert_failed();
}

/// The feature may be on for another crate's sake.
#[tokio::test]
async fn a_handler_none_of_whose_types_was_given_a_schema_fails_as_without_the_feature() {
    let app = app("name: note\nsteps:\n  - { name: review }\n");
    app.run("note", json!({ "reviewer": 7 })).await.assert_failed();
}

#[tokio::test]
async fn a_schema_of_the_template_goes_before_those_of_handlers() {
    let app = app(&format!("{TEMPLATE}input_schema: {{ type: object }}\n"));
    app.run("order", json!({ "lines": "none" })).await.assert_failed();
}

#[tokio::test]
async fn a_result_by_hand_is_held_against_what_the_handler_gives() {
    let app = app(TEMPLATE);
    let run = app.run("order", json!({ "lines": [], "customer": { "id": 0 } })).await;
    run.assert_failed();
    let (task, engine) = (run.view().row.id, app.engine().clone());
    let by_hand = move |result: Value| {
        let engine = engine.clone();
        async move { engine.complete_step(task, StepNumber(0), &result, "ada", "added up by hand").await }
    };
    let error = app.drive(by_hand(json!({ "total": "much", "lines": [] }))).await.expect_err("it does not fit");
    let told = "the result is not what the step's handler gives: `total`: the value is not of type \"number\"";
    assert_eq!((error.code(), error.to_string().contains(told)), ("E213", true), "{error}");
    app.drive(by_hand(json!({ "total": 0, "lines": [] }))).await.expect("it fits");
}
