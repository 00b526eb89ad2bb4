//! Templates that are taken, and what becomes of them.

use serde_json::json;
use tasker_types::template::{Parsed, Template, parse};
use tasker_types::{Backoff, RetryPolicy, RetrySpec, StepNumber};

const ORDER: &str = include_str!("files/order_fulfillment.yaml");
const SEQUENCE: &str = include_str!("files/mathematical_sequence.yaml");

fn accept(source: &str) -> Parsed {
    parse("test.yaml", source).unwrap_or_else(|findings| panic!("{findings}"))
}

fn names(template: &Template) -> Vec<&str> {
    template.steps.iter().map(|step| step.name.as_str()).collect()
}

#[test]
fn the_order_template_of_the_guide_is_taken_as_it_stands() {
    let parsed = accept(ORDER);
    assert_eq!(parsed.warnings, []);
    let template = parsed.template;
    assert_eq!(
        (&*template.name, &*template.namespace, &*template.version),
        ("order_fulfillment", "ecommerce", "1.0.0")
    );
    assert_eq!(names(&template), ["validate_order", "reserve_inventory", "process_payment", "ship_order"]);
    assert_eq!(template.graph().depth(), Ok(4));
    let last = template.step_named("ship_order").unwrap();
    let step = &template.steps[last.index()];
    assert_eq!(step.description.as_deref(), Some("Ship the order"));
    assert_eq!(step.dependencies, [StepNumber(2)]);
    assert_eq!(
        step.retry.resolve(),
        RetryPolicy {
            retryable: true,
            max_attempts: 2,
            max_losses: 3,
            backoff: Backoff::Exponential,
            backoff_base_ms: 100,
            max_backoff_ms: 5_000,
        }
    );
}

#[test]
fn the_older_dialect_is_taken_with_one_warning_of_each_kind() {
    let parsed = accept(SEQUENCE);
    let codes: Vec<_> = parsed.warnings.iter().map(|w| w.code).collect();
    assert_eq!(codes, ["T060", "T062", "T063", "T064", "T061"]);
    let template = parsed.template;
    assert_eq!(template.namespace, "linear_workflow");
    assert_eq!(template.required_fields, ["even_number"]);
    assert_eq!(template.metadata["author"], "TAS-41 Rust Worker Demo");
    assert_eq!(template.metadata["tags"][1], "pattern:linear");
    let step = &template.steps[1];
    assert_eq!(step.handler.callable, "rust::linear_workflow::LinearStep2Handler");
    assert_eq!(step.handler.initialization, json!({ "operation": "add", "constant": 10 }));
    assert_eq!(step.dependencies, [StepNumber(0)]);
    assert_eq!(step.retry.max_attempts, Some(3));
    assert_eq!(step.timeout_ms, Some(30_000));
}

#[test]
fn what_is_not_written_has_a_default() {
    let template = accept("name: a\nsteps: [{ name: only }]\n").template;
    assert_eq!((&*template.namespace, &*template.version), ("default", "0.1.0"));
    assert_eq!(template.metadata, json!({}));
    let step = &template.steps[0];
    assert_eq!(step.handler.callable, "only");
    assert_eq!(step.handler.initialization, json!({}));
    assert_eq!(step.retry, RetrySpec::default());
    assert_eq!(step.timeout_ms, None);
}
