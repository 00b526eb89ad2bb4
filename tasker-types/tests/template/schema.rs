//! The JSON Schema against what the parser does.

use serde_json::{Value, json};
use tasker_types::template::{json_schema, parse};

/// The codes that the parser gives for a template in which `block` has the key `key`.
fn codes(block: &str, key: &str) -> Vec<&'static str> {
    let batchable = json!({ "name": "a", "type": "batchable", "handler": {}, "retry": {}, "batch_config": {}, "publishes_events": [{ "name": "x" }] });
    let worker = json!({ "name": "w", "type": "batch_worker", "dependencies": ["a"] });
    let environments = json!({ "e": { "steps": [{ "name": "ALL" }] } });
    let mut template = json!({ "name": "t", "steps": [batchable, worker], "task_handler": {}, "lifecycle": { "max_duration_minutes": 1 }, "environments": environments });
    let at = match block {
        "template" => "",
        "step" => "/steps/0",
        "handler" => "/steps/0/handler",
        "retry" => "/steps/0/retry",
        "batch_config" => "/steps/0/batch_config",
        "lifecycle" => "/lifecycle",
        "environment" => "/environments/e",
        "environment_step" => "/environments/e/steps/0",
        "event" => "/steps/0/publishes_events/0",
        _ => "/task_handler",
    };
    let object = template.pointer_mut(at).and_then(Value::as_object_mut).unwrap();
    object.entry(key).or_insert(Value::Null);
    match parse("t.json", &template.to_string()) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(|finding| finding.code).collect(),
    }
}

#[test]
fn the_parser_knows_every_key_of_the_schema_and_no_other() {
    let schema = json_schema();
    let mut blocks = vec![("template", &schema)];
    blocks.extend(schema["$defs"].as_object().unwrap().iter().map(|(name, block)| (name.as_str(), block)));
    for (name, block) in blocks {
        assert_eq!(codes(name, "zzz"), ["T004"], "{name}");
        for (key, property) in block["properties"].as_object().unwrap() {
            let codes = codes(name, key);
            assert!(!codes.contains(&"T004"), "{key} in {name}");
            let takes_nothing = property.get("not").is_some();
            assert_eq!(
                codes.iter().any(|code| ("T040".."T060").contains(code)),
                takes_nothing,
                "{key} in {name}: {codes:?}"
            );
        }
    }
}

#[test]
fn defaults_of_the_schema_are_those_of_the_code() {
    let schema = json_schema();
    let retry = serde_json::to_value(tasker_types::RetryPolicy::default()).unwrap();
    for (key, property) in schema["$defs"]["retry"]["properties"].as_object().unwrap() {
        if let Some(default) = property.get("default") {
            assert_eq!(default, &retry[key], "{key}");
        }
    }
    let template = parse("t.yaml", "name: t\nsteps: [name: a]\n").unwrap().template;
    assert_eq!(schema["properties"]["namespace_name"]["default"], *template.namespace);
    assert_eq!(schema["properties"]["version"]["default"], *template.version);
}
