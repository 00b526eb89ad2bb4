//! Contexts and results are held against the schemas of their template.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tasker_runtime::engine::Error;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::TestApp;
use tasker_types::{StepNumber, TaskRequest};

const CONTEXT: &str = "
name: t
input_schema:
  type: object
  required: [customer]
  properties: { items: { type: array, items: { type: object, properties: { price: { type: number } } } } }
steps: [name: a]
";
const RESULT: &str = "
name: t
steps:
  - name: a
    retry: { max_attempts: 5 }
    result_schema: { type: object, required: [total], properties: { total: { type: number, minimum: 0 } } }
  - { name: b, dependencies: [a] }
";

fn app(template: &str, a: impl Fn(u32) -> Value + Send + Sync + 'static) -> (TestApp, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(template)
        .mock("a", move |_| Ok(a(counted.fetch_add(1, Ordering::SeqCst))))
        .mock("b", |step| step.get_dependency_result_column_value("a").map_err(Into::into));
    (app, calls)
}

#[tokio::test]
async fn a_context_that_does_not_fit_is_refused_with_each_place_and_nothing_is_stored() {
    let (app, calls) = app(CONTEXT, |_| json!("done"));
    let request = |context| TaskRequest { name: "t".to_owned(), context, ..TaskRequest::default() };
    let engine = app.engine().clone();
    let bad = request(json!({ "items": [{ "price": 1 }, { "price": "2" }] }));
    let error = app.drive(async move { engine.submit(bad).await }).await.expect_err("it does not fit");
    assert_eq!(error.code(), "E204");
    let told = error.to_string();
    let before = "the context does not fit the `input_schema` of template `t`: ";
    assert!(told.starts_with(before) && matches!(error, Error::BadContext(_)), "{told}");
    for part in ["\"customer\" is a required property", "`items[1].price`: the value is not of type \"number\""] {
        assert!(told.contains(part), "{told}");
    }
    let store = app.engine().store().clone();
    assert!(app.drive(async move { store.dump(None, 10).await }).await.unwrap().tasks.is_empty());
    app.run("t", json!({ "customer": 1, "items": [] })).await.assert_completed();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_result_that_does_not_fit_fails_its_step_for_good_and_names_the_place() {
    let (app, calls) = app(RESULT, |_| json!({ "total": -1 }));
    let run = app.run("t", json!({})).await;
    run.assert_failed();
    let told = "the result does not fit the step's `result_schema`: `total`: the value is less than the minimum of 0";
    assert_eq!(run.errors("a"), [told]);
    let detail = run.step("a").detail.as_ref().expect("it says why");
    assert_eq!((&detail["error_code"], &detail["retryable"]), (&json!("BAD_RESULT"), &json!(false)));
    assert_eq!(calls.load(Ordering::SeqCst), 1, "another try would give the same");
    let (task, engine) = (run.view().row.id, app.engine().clone());
    let by_hand = move |result: Value| {
        let engine = engine.clone();
        async move { engine.complete_step(task, StepNumber(0), &result, "me", "it was paid").await }
    };
    let refused = app.drive(by_hand(json!({}))).await.expect_err("no total");
    assert_eq!((refused.code(), refused.to_string().contains("\"total\" is a required property")), ("E213", true));
    app.drive(by_hand(json!({ "total": 2 }))).await.expect("it fits");
}

#[tokio::test]
async fn a_result_that_fits_is_given_on() {
    let (app, _) = app(RESULT, |_| json!({ "total": 59.98 }));
    app.run("t", json!({})).await.assert_completed().assert_result("b", &json!({ "total": 59.98 }));
}

#[tokio::test]
async fn a_template_whose_schema_is_none_is_refused() {
    let (app, _) = app("name: t\nsteps: [name: a]\n", |_| json!(1));
    let mut template = app.engine().template("default", "t", "").await.unwrap().template.clone();
    template.steps[0].result_schema = Some(json!({ "type": "strng" }));
    let engine = app.engine().clone();
    let error = app.drive(async move { engine.add_template(template).await }).await.expect_err("no type");
    assert_eq!(error.code(), "E214");
    assert!(error.to_string().starts_with("`result_schema` of step `a` cannot be used: `type`: "), "{error}");
}

#[tokio::test]
async fn a_rerun_with_a_context_that_does_not_fit_is_refused() {
    let (app, calls) = app(CONTEXT, |_| json!("done"));
    let task = app.run("t", json!({ "customer": 1 })).await.view().row.id;
    let engine = app.engine().clone();
    let again = async move { engine.rerun(task, StepNumber(0), Some(&json!({ "items": [] })), "ada", "").await };
    let error = app.drive(again).await.expect_err("it does not fit");
    assert_eq!(
        (error.code(), error.to_string().contains("\"customer\" is a required property")),
        ("E204", true),
        "{error}"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
