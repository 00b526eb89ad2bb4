//! What holds for any text and any template.

use proptest::prelude::*;
use tasker_types::template::{Severity, Template, codes, parse};
use tasker_types::{Backoff, HandlerRef, RetrySpec, StepNumber, StepTemplate};

const ORDER: &str = include_str!("files/order_fulfillment.yaml");
const SEQUENCE: &str = include_str!("files/mathematical_sequence.yaml");
/// Every key and every YAML notation that a template may have.
const EVERYTHING: &str = include_str!("files/everything.yaml");

/// What must hold of any answer of the parser.
fn check(source: &str) -> Result<(), TestCaseError> {
    let (findings, refused) = match parse("t.yaml", source) {
        Ok(parsed) => {
            let json = serde_json::to_string(&parsed.template).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Template>(&json).unwrap(), &parsed.template);
            prop_assert!(parsed.template.graph().topological().is_ok());
            prop_assert_eq!(parsed.places.len(), parsed.template.steps.len());
            (parsed.warnings, false)
        }
        Err(findings) => {
            prop_assert!(!findings.to_string().is_empty());
            (findings.iter().cloned().collect(), true)
        }
    };
    prop_assert_eq!(findings.iter().any(|finding| finding.severity == Severity::Error), refused);
    prop_assert!(findings.is_sorted_by_key(|finding| finding.span));
    for finding in findings {
        prop_assert!(codes::find(finding.code).is_some());
        let related = finding.related.iter().map(|&(span, _)| span);
        for span in finding.span.into_iter().chain(related) {
            let lines = source.split('\n').count();
            prop_assert!(source.get(span.bytes()).is_some(), "{span:?} of {} bytes", source.len());
            prop_assert!((1..=lines).contains(&span.line) && span.column >= 1);
        }
        prop_assert!(finding.span.is_some());
    }
    Ok(())
}

/// A template's text with a few pieces put in, taken out, or swapped.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("*a".to_owned()),
        Just("&a ".to_owned()),
        Just("<<: *a\n".to_owned()),
        Just("!!str ".to_owned()),
        Just("---\n".to_owned()),
        Just("\t".to_owned()),
        Just("\r\n".to_owned()),
        Just(": ".to_owned()),
        Just("- ".to_owned()),
        Just("[".to_owned()),
        Just("}".to_owned()),
        Just("\"".to_owned()),
        Just("|\n".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("日本".to_owned()),
        Just("name: a\n".to_owned()),
        Just("dependencies: [a]\n".to_owned()),
        Just("timeout_seconds: 1e9\n".to_owned()),
        Just("type: decision\n".to_owned()),
        Just(":retry: {:limit: 0}\n".to_owned()),
        any::<String>(),
    ];
    let edit = (any::<prop::sample::Index>(), 0_usize..40, pieces);
    let sources = prop::sample::select(vec![ORDER, SEQUENCE, EVERYTHING]);
    (sources, prop::collection::vec(edit, 1..6)).prop_map(|(source, edits)| {
        let mut source = source.to_owned();
        for (at, cut, piece) in edits {
            let start = source.floor_char_boundary(at.index(source.len() + 1));
            let end = source.floor_char_boundary((start + cut).min(source.len())).max(start);
            source.replace_range(start..end, &piece);
        }
        source
    })
}

fn step_names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("step_{number}")).collect()
}

/// Templates without cycles, in which every option is given or not.
fn templates() -> impl Strategy<Value = Template> {
    let retry =
        (
            any::<Option<bool>>(),
            prop::option::of(1_u32..=1_000),
            prop::option::of(1_u32..=1_000),
            prop::option::of(prop::sample::select(Backoff::ALL)),
            prop::option::of(0_u64..=2_592_000_000),
            prop::option::of(0_u64..=2_592_000_000),
        )
            .prop_map(|(retryable, max_attempts, max_losses, backoff, backoff_base_ms, max_backoff_ms)| {
                RetrySpec { retryable, max_attempts, max_losses, backoff, backoff_base_ms, max_backoff_ms }
            });
    let callable = prop_oneof![Just("shop.charge".to_owned()), "[a-z_][a-z0-9_]{0,8}", Just("a::B".to_owned())];
    let text = prop::option::of("\\PC{1,12}");
    let step = (
        text.clone(),
        callable,
        free_value(),
        prop::collection::vec(any::<u32>(), 0..4),
        retry,
        prop::option::of(1_u64..=2_592_000_000),
        any::<bool>(),
    );
    (prop::collection::vec(step, 1..12), text, free_value()).prop_map(|(steps, description, metadata)| {
        let names = step_names(steps.len());
        let steps = names.into_iter().zip(steps).enumerate().map(|(at, (name, step))| {
            let (description, callable, initialization, seeds, retry, timeout_ms, skippable) = step;
            let mut dependencies: Vec<_> =
                seeds.iter().filter_map(|seed| seed.checked_rem(u32::try_from(at).unwrap())).map(StepNumber).collect();
            dependencies.sort_unstable();
            dependencies.dedup();
            StepTemplate {
                description,
                skippable,
                handler: HandlerRef { callable, initialization },
                dependencies,
                retry,
                timeout_ms,
                ..StepTemplate::named(name)
            }
        });
        Template {
            namespace: "any".to_owned(),
            version: "1.2.3".to_owned(),
            description,
            metadata,
            ..Template::named("any_template", steps.collect())
        }
    })
}

/// An object of any JSON values. Control characters are left out: the JSON writer escapes only some of them, and YAML
/// takes the others in escaped form only.
fn free_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e9..1e9).prop_map(|n: f64| n.into()),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("\\PC{1,6}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    });
    prop::collection::btree_map("\\PC{1,6}", value, 0..3).prop_map(|map| map.into_iter().collect())
}

/// The template as a person would write it, in JSON, which is YAML too.
fn written(template: &Template) -> serde_json::Value {
    let names = step_names(template.steps.len());
    let steps = template.steps.iter().map(|step| {
        let mut written = serde_json::json!({
            "name": step.name,
            "handler": { "callable": step.handler.callable, "initialization": step.handler.initialization },
            "dependencies": step.dependencies.iter().map(|number| &names[number.index()]).collect::<Vec<_>>(),
            "retry": step.retry,
        });
        if let Some(description) = &step.description {
            written["description"] = description.as_str().into();
        }
        if let Some(millis) = step.timeout_ms {
            let seconds = format!("{}.{:03}", millis / 1_000, millis % 1_000);
            written["timeout_seconds"] = serde_json::from_str(&seconds).unwrap();
        }
        if step.skippable {
            written["skippable"] = true.into();
        }
        written
    });
    let mut written = serde_json::json!({
        "name": template.name, "namespace_name": template.namespace, "version": template.version,
        "metadata": template.metadata, "steps": steps.collect::<Vec<_>>(),
    });
    if let Some(description) = &template.description {
        written["description"] = description.as_str().into();
    }
    written
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(source: String) {
        check(&source)?;
    }

    #[test]
    fn any_bytes_that_are_text_get_an_answer(bytes: Vec<u8>) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn any_yaml_like_text_gets_an_answer(source in "[a-c&*:?!<>|'\"\\[\\]{},#\\- \n\t0-9.~%@]{0,80}") {
        check(&source)?;
    }

    #[test]
    fn any_change_to_a_template_gets_an_answer(source in mutated()) {
        check(&source)?;
    }

    #[test]
    fn what_is_written_is_what_is_read(template in templates(), pretty: bool) {
        let written = written(&template);
        let source = if pretty { serde_json::to_string_pretty(&written) } else { serde_json::to_string(&written) }.unwrap();
        let parsed = parse("t.json", &source).unwrap_or_else(|findings| panic!("{findings}"));
        prop_assert_eq!(&parsed.template, &template);
        prop_assert_eq!(parsed.template.content_hash(), template.content_hash());
        let stored: Template = serde_json::from_value(serde_json::to_value(&template).unwrap()).unwrap();
        prop_assert_eq!(stored, template);
    }
}
