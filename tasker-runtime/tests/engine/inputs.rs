//! What steps are given as their inputs.

use serde_json::{Value, json};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::TestApp;

/// Two steps in a row; the second one gives back what it was given.
fn app(inputs: &str, first: Value) -> TestApp {
    let template = format!(
        "name: t\nsteps: [{{ name: first, skippable: true }}, {{ name: echo, dependencies: [first], inputs: {inputs} }}]"
    );
    TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(template)
        .mock("first", move |_| if first.is_null() { anyhow::bail!("no result") } else { Ok(first.clone()) })
        .mock("echo", |step| Ok((*step.workflow_step.inputs).clone()))
}

#[tokio::test]
async fn a_step_is_given_what_its_template_maps_and_nothing_else() {
    let app = app(
        "{ whole: context, id: context.customer.id, total: first.order.total, all: first }",
        json!({ "order": { "total": 59.98 } }),
    );
    let context = json!({ "customer": { "id": 7 }, "other": null });
    let expected = json!({ "whole": context, "id": 7, "total": 59.98, "all": { "order": { "total": 59.98 } } });
    app.run("t", context).await.assert_completed().assert_result("echo", &expected);
}

#[tokio::test]
async fn an_empty_mapping_gives_nothing_and_null_is_a_value() {
    app("{}", json!(1)).run("t", json!({ "a": 1 })).await.assert_result("echo", &json!({}));
    let app = app("{ a: context.a }", json!(1));
    app.run("t", json!({ "a": null })).await.assert_result("echo", &json!({ "a": null }));
}

#[tokio::test]
async fn an_input_from_a_step_that_was_skipped_is_null() {
    let run = app("{ total: first.order.total }", Value::Null).run("t", json!({})).await;
    run.assert_completed().assert_skipped(["first"]).assert_result("echo", &json!({ "total": null }));
}

#[tokio::test]
async fn an_input_that_is_missing_fails_the_step_at_once_and_names_the_place() {
    let told = [
        (
            "{ id: context.customer.id }",
            "`inputs.id` comes from `context.customer.id`, which the task's context does not have",
        ),
        (
            "{ total: first.total }",
            "`inputs.total` comes from `first.total`, which the result of step `first` does not have",
        ),
    ];
    for (inputs, told) in told {
        let run = app(inputs, json!({})).run("t", json!({ "customer": 1 })).await;
        run.assert_failed();
        assert_eq!(run.errors("echo"), [told]);
        let detail = run.step("echo").detail.as_ref().expect("it says why");
        assert_eq!(
            (&detail["error_type"], &detail["error_code"]),
            (&json!("validation_error"), &json!("INPUT_MISSING"))
        );
        assert_eq!(run.step("echo").attempt, 1);
    }
}
