//! Templates that are taken, and what becomes of them.

use serde_json::json;
use tasker_types::template::{Parsed, Template, parse};
use tasker_types::{Backoff, InputSource, RetryPolicy, RetrySpec, StepNumber};

const ORDER: &str = include_str!("files/order_fulfillment.yaml");
const SEQUENCE: &str = include_str!("files/mathematical_sequence.yaml");
const EVERYTHING: &str = include_str!("files/everything.yaml");

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

#[test]
fn every_notation_of_yaml_that_json_can_hold_is_taken() {
    let parsed = accept(EVERYTHING);
    assert_eq!(parsed.warnings, []);
    let template = parsed.template;
    assert_eq!(template.description.as_deref(), Some("Folded over two lines.\n"));
    let metadata = json!({
        "author": "ops",
        "tags": ["a", "b", "c", 1, 2.5, true, null, "no", "2026-01-31"],
        "nested": { "json": [1, { "deep": null }], "question": "mark" },
        "literal": "one\n  two\n",
        "text": "5",
        "also": [1],
    });
    assert_eq!(template.metadata, metadata);
    assert_eq!(template.steps[0].handler.callable, "shop.first");
    assert_eq!(template.steps[1].handler.initialization["meta"], metadata);
    assert_eq!(template.steps[1].retry.backoff, Some(Backoff::Fibonacci));
    assert_eq!(template.steps[1].timeout_ms, Some(250));
    // The third step is the second one with another name and other dependencies.
    let third = &template.steps[2];
    assert_eq!((&*third.name, &*third.handler.callable), ("third", "second"));
    assert_eq!(third.dependencies, [StepNumber(0), StepNumber(1)]);
    assert_eq!(third.retry, template.steps[1].retry);
}

#[test]
fn json_is_a_template_too() {
    let yaml = accept("name: t\nversion: 2.0.0\nsteps:\n  - name: a\n  - name: b\n    dependencies: [a]\n").template;
    let json = r#"{"version": "2.0.0", "steps": [{"name": "a"}, {"dependencies": ["a"], "name": "b"}], "name": "t"}"#;
    assert_eq!(accept(json).template, yaml);
    assert_eq!(accept(json).template.content_hash_hex(), yaml.content_hash_hex());
}

#[test]
fn names_keep_the_spelling_of_the_source() {
    let template =
        accept("name: no\nsteps:\n  - { name: on, handler: h }\n  - { name: 007, handler: h, dependencies: [on] }\n");
    assert_eq!(template.template.name, "no");
    assert_eq!(names(&template.template), ["on", "007"]);
}

#[test]
fn a_byte_order_mark_and_windows_line_breaks_change_nothing() {
    let unix = "name: t\nsteps:\n  - name: a\n    description: |\n      x\n      y\n";
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    assert_eq!(accept(&windows).template, accept(unix).template);
}

#[test]
fn places_lead_to_the_names_in_the_source() {
    let source = "name: t\nsteps:\n  - name: a\n  - handler: { callable: x.y }\n    name: b\n";
    let places = accept(source).places;
    assert_eq!(&source[places[0].name.bytes()], "a");
    assert_eq!(&source[places[0].handler.bytes()], "a");
    assert_eq!(&source[places[1].name.bytes()], "b");
    assert_eq!(&source[places[1].handler.bytes()], "x.y");
    assert_eq!((places[1].handler.line, places[1].handler.column), (4, 26));
}

#[test]
fn the_content_hash_follows_what_the_template_says() {
    let hash = |source: &str| accept(source).template.content_hash_hex();
    let first = hash("name: t\nsteps: [name: a]\nmetadata: { x: 1, y: 2 }\n");
    assert_eq!(first, hash("# a comment\nmetadata:\n  y: 2\n  x: 1\nname: t\nsteps:\n- name: a\n"));
    assert_ne!(first, hash("name: t\nsteps: [name: a]\nmetadata: { x: 1, y: 3 }\n"));
    // Stored hashes must be found again by later versions.
    assert_eq!(first, "2316d659fa692fbb10470c5fb8beb5abe219ca044ad774740dff5cfc856784c0");
}

#[test]
fn a_stored_template_with_unknown_keys_or_steps_is_refused() {
    let json = serde_json::to_value(accept("name: t\nsteps: [name: a]\n").template).unwrap();
    let mut newer = json.clone();
    newer["steps"][0]["of_a_later_version"] = true.into();
    let error = serde_json::from_value::<Template>(newer).unwrap_err();
    assert!(error.to_string().contains("of_a_later_version"), "{error}");
    let mut broken = json;
    broken["steps"][0]["dependencies"] = json!([7]);
    let error = serde_json::from_value::<Template>(broken).unwrap_err();
    assert_eq!(error.to_string(), "step `a` depends on step number 7, but there are 1 steps");
}

#[test]
fn inputs_come_from_the_context_and_from_any_step_before() {
    let source = "
name: t
steps:
  - name: first
  - name: second
    dependencies: [first]
  - name: third
    dependencies: [second]
    inputs: { all: context, id: context.customer.id, far: first.order_total, near: second }
";
    let template = accept(source).template;
    let from = |step: Option<u32>, path: &str| InputSource { step: step.map(StepNumber), path: path.to_owned() };
    let expected = [
        ("all", from(None, "")),
        ("far", from(Some(0), "order_total")),
        ("id", from(None, "customer.id")),
        ("near", from(Some(1), "")),
    ];
    let expected = expected.map(|(name, source)| (name.to_owned(), source)).into();
    assert_eq!(template.steps[2].inputs, Some(expected));
    let stored = serde_json::to_value(&template).unwrap();
    assert_eq!(serde_json::from_value::<Template>(stored.clone()).unwrap(), template);
    assert_eq!(stored["steps"][2]["inputs"]["near"], json!({ "step": 1 }));
    assert_eq!(stored["steps"][0].get("inputs"), None, "what says nothing keeps its hash");
    let mut damaged = stored;
    damaged["steps"][2]["inputs"]["near"]["step"] = json!(3);
    assert!(serde_json::from_value::<Template>(damaged).is_err());
}

#[test]
fn an_environment_says_otherwise_of_all_steps_and_more_of_one() {
    let source = "
name: t
environments:
  production:
    steps:
      - name: b
        timeout_seconds: 90
        handler: { initialization: { url: https://live } }
      - name: ALL
        timeout_seconds: 60
        retry: { max_attempts: 7 }
  test: { steps: [{ name: a, handler: mock }] }
steps:
  - { name: a, timeout_seconds: 5, retry: { max_attempts: 2, backoff: none } }
  - { name: b, handler: { callable: shop.b, initialization: { url: http://local, tries: 3 } } }
";
    let parsed = accept(source);
    assert_eq!(parsed.environments().collect::<Vec<_>>(), ["production", "test"]);
    let plain = parsed.clone().in_environment("staging").template;
    assert_eq!((&plain, &plain.environment), (&parsed.template, &None));
    let live = parsed.clone().in_environment("production").template;
    let [a, b] = &live.steps[..] else { panic!("there are two steps") };
    assert_eq!((a.timeout_ms, b.timeout_ms), (Some(60_000), Some(90_000)));
    assert_eq!((a.retry.max_attempts, a.retry.backoff), (Some(7), Some(Backoff::None)));
    assert_eq!(b.handler.callable, "shop.b");
    assert_eq!(b.handler.initialization, json!({ "url": "https://live", "tries": 3 }));
    assert_eq!(live.environment.as_deref(), Some("production"));
    assert_ne!(live.content_hash(), plain.content_hash());
    let test = parsed.in_environment("test").template;
    assert_eq!((&*test.steps[0].handler.callable, test.steps[0].timeout_ms), ("mock", Some(5_000)));
}
