//! The template itself: from the root of the tree to a template whose steps are drafts still.

use serde_json::json;

use super::Template;
use super::codes;
use super::fields::{Fields, Reading};
use super::keys::{TASK_HANDLER, TEMPLATE};
use super::lifecycle;
use super::limits::MAX_STEPS;
use super::names::{check_name, check_version};
use super::node::{Kind, Node};
use super::scalar::{Scalar, quoted, resolve};
use super::step::{self, Draft};
use super::value::to_json;
use crate::suggest::nearest;

const IDENTITY_STRATEGIES: &[&str] = &["always_unique", "strict", "caller_provided"];

/// The template without its steps, and the steps; `None` where the file is no mapping.
pub(super) fn read<'n>(root: &'n Node<'_>, reading: &mut Reading) -> Option<(Template, Vec<Draft<'n>>)> {
    let fields = Fields::of(root, &TEMPLATE, "the template".to_owned(), "", reading)?;
    let name = name(&fields, "name", reading);
    let template = Template {
        name: name.unwrap_or_default(),
        namespace: self::name(&fields, "namespace_name", reading).unwrap_or_else(|| "default".to_owned()),
        version: version(&fields, reading).unwrap_or_else(|| "0.1.0".to_owned()),
        description: fields.text("description", reading).map(|(text, _)| text.to_owned()),
        metadata: fields
            .get("metadata")
            .map(|entry| to_json(&entry.value, &mut reading.dialect, &mut reading.report))
            .filter(|metadata| !metadata.is_null())
            .unwrap_or_else(|| json!({})),
        required_fields: required_fields(&fields, reading).unwrap_or_default(),
        lifecycle: lifecycle::read(&fields, reading),
        steps: Vec::new(),
    };
    refuse_other_identities(&fields, reading);
    let drafts = steps(&fields, reading);
    Some((template, drafts))
}

fn name(fields: &Fields<'_, '_>, key: &str, reading: &mut Reading) -> Option<String> {
    let (name, at) = fields.text(key, reading)?;
    if let Err(bad) = check_name(name) {
        let of = if key == "name" { "template" } else { "namespace" };
        let message = format!("bad {of} name: {}", bad.reason);
        reading.report.add(&codes::BAD_NAME, at, message).suggest(bad.suggestion.as_deref());
    }
    Some(name.to_owned())
}

fn version(fields: &Fields<'_, '_>, reading: &mut Reading) -> Option<String> {
    let (version, at) = fields.text("version", reading)?;
    if let Err(bad) = check_version(version) {
        let message = format!("bad version {}: {}", quoted(version), bad.reason);
        reading.report.add(&codes::BAD_VERSION, at, message).suggest(bad.suggestion.as_deref());
    }
    Some(version.to_owned())
}

fn refuse_other_identities(fields: &Fields<'_, '_>, reading: &mut Reading) {
    let Some((strategy, at)) = fields.text("identity_strategy", reading) else {
        return;
    };
    if strategy == "always_unique" {
        return;
    }
    if IDENTITY_STRATEGIES.contains(&strategy) {
        let message = format!("{} is `{strategy}`, which is not built yet", fields.name_of("identity_strategy"));
        reading
            .report
            .add(&codes::IDENTITY_NOT_BUILT, at, message)
            .label("not built yet")
            .help("in this version every request makes a new task: `always_unique`");
    } else {
        let message = format!(
            "{} is {}, which is no way to tell requests apart",
            fields.name_of("identity_strategy"),
            quoted(strategy)
        );
        let known = IDENTITY_STRATEGIES.iter().copied();
        reading
            .report
            .add(&codes::UNKNOWN_VALUE, at, message)
            .label("unknown value")
            .help("take one of always_unique, strict, caller_provided")
            .suggest(nearest(strategy, known));
    }
}

/// What `task_handler.initialization.input_validation.required_fields` names.
fn required_fields(fields: &Fields<'_, '_>, reading: &mut Reading) -> Option<Vec<String>> {
    let entry = fields.get("task_handler")?;
    let owner = "the template".to_owned();
    let handler = Fields::of(&entry.value, &TASK_HANDLER, owner, "task_handler.", reading)?;
    if let Some(callable) = handler.get("callable") {
        reading.dialect.without_effect(callable.key_at, "callable");
    }
    let initialization = handler.get("initialization")?;
    let Kind::Map(entries) = &initialization.value.kind else {
        handler.wrong_type("initialization", "a mapping", &initialization.value, reading);
        return None;
    };
    let mut required = None;
    for entry in entries {
        let key = reading.dialect.key(entry);
        if key != "input_validation" {
            reading.dialect.without_effect(entry.key_at, key);
            continue;
        }
        let Kind::Map(rules) = &entry.value.kind else {
            handler.wrong_type("initialization.input_validation", "a mapping", &entry.value, reading);
            continue;
        };
        for rule in rules {
            match reading.dialect.key(rule) {
                "required_fields" => required = field_names(&handler, &rule.value, reading),
                other => reading.dialect.left_to_handler(rule.key_at, other),
            }
        }
    }
    required
}

fn field_names(handler: &Fields<'_, '_>, value: &Node<'_>, reading: &mut Reading) -> Option<Vec<String>> {
    let names = match &value.kind {
        Kind::List(items) => items
            .iter()
            .map(|item| match &item.kind {
                Kind::Scalar { text, plain } if resolve(text, *plain) != Scalar::Null => Some(text.to_string()),
                _ => None,
            })
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    if names.is_none() {
        handler.wrong_type("initialization.input_validation.required_fields", "a list of names", value, reading);
    }
    names
}

fn steps<'n>(fields: &Fields<'n, '_>, reading: &mut Reading) -> Vec<Draft<'n>> {
    let Some(entry) = fields.get("steps") else {
        return Vec::new();
    };
    let is_empty = match &entry.value.kind {
        Kind::List(items) => items.is_empty(),
        Kind::Scalar { text, plain } => resolve(text, *plain) == Scalar::Null,
        Kind::Map(_) => false,
    };
    if is_empty {
        let added = reading.report.add(&codes::NO_STEPS, entry.key_at, "the template has no steps");
        added.label("empty").help("add one: `- name: first_step`");
        return Vec::new();
    }
    let items = fields.list("steps", reading).unwrap_or_default();
    if let Some(first_beyond) = items.get(MAX_STEPS) {
        let message = format!("the template has {} steps; at most {MAX_STEPS} are allowed", items.len());
        reading.report.add(&codes::TOO_MANY, first_beyond.anchor(), message).label("the first step beyond the limit");
    }
    let bounded = items.iter().take(MAX_STEPS).enumerate();
    bounded.map(|(at, node)| step::read(node, at + 1, reading)).collect()
}
