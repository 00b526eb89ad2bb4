//! Whether a result that fits what the type of a handler says can fit what the template declares.

use serde_json::Value;
use tasker_types::template::codes::Code;
use tasker_types::template::{Finding, Severity};

use super::Report;
use crate::app::templates::Loaded;
use crate::cli::Context;

/// What a template declares of a result is not what its handler gives.
const NO_FIT: Code = Code {
    code: "E218",
    severity: Severity::Warning,
    title: "a `result_schema` that its handler does not keep to",
    explanation: "",
};
/// How deep two schemas are compared: types may refer to themselves.
const DEPTH_MAX: u32 = 16;

impl Report {
    /// Schemas that templates declare of results, beside those that the types of handlers say.
    pub(super) fn schemas(&mut self, context: &Context, loaded: &Loaded) {
        for (step, place) in loaded.parsed.template.steps.iter().zip(&loaded.parsed.places) {
            let Some(declared) = &step.result_schema else { continue };
            let handler = context.registry.find(&step.handler.callable, &step.name);
            let Some(entry) = handler.as_ref().and_then(|found| found.entry()) else { continue };
            let Some(made) = entry.result_schema else { continue };
            let given = made();
            let sides = Sides { declared, given: &given };
            let Some(conflict) = sides.conflict(declared, &given, "the result", DEPTH_MAX) else { continue };
            let message = format!("no result of step `{}` can fit its `result_schema`: {conflict}", step.name);
            let label = format!("handler `{}`, {}", entry.rust_name, entry.place());
            let help = "the template's schema is what counts: put it right, or the type that the handler returns";
            let finding = Finding::new(&NO_FIT, message).with_label(label).with_help(help);
            self.finding(&loaded.file, &loaded.source, &finding.at(place.handler));
        }
    }
}

/// The two whole schemas, in which their parts refer to others.
struct Sides<'s> {
    declared: &'s Value,
    given: &'s Value,
}

impl Sides<'_> {
    /// Why nothing fits both. Only what is certain is told: what a schema says by other words than these is passed over.
    fn conflict(&self, declared: &Value, given: &Value, at: &str, depth: u32) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let (declared, given) = (resolved(declared, self.declared), resolved(given, self.given));
        let (wanted, types) = (types(declared), types(given));
        let fits = |one: &&str| {
            wanted.contains(one)
                || *one == "integer" && wanted.contains(&"number")
                || *one == "number" && wanted.contains(&"integer")
        };
        if !wanted.is_empty() && !types.is_empty() && !types.iter().any(fits) {
            return Some(format!("{at} has to be {}, and is {}", wanted.join(" or "), types.join(" or ")));
        }
        let properties = given.get("properties").and_then(Value::as_object)?;
        let is_closed = given.get("additionalProperties").is_none_or(|more| *more == Value::Bool(false))
            && ["oneOf", "anyOf", "allOf", "patternProperties", "$ref"].iter().all(|key| given.get(*key).is_none());
        let required =
            declared.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.filter(|_| is_closed).find(|name| !properties.contains_key(*name)) {
            return Some(format!("{at} has to have `{missing}`, which the handler does not give"));
        }
        let always: Vec<&str> =
            given.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let declared = declared.get("properties").and_then(Value::as_object)?;
        declared
            .iter()
            .filter(|(name, _)| always.contains(&name.as_str()))
            .find_map(|(name, declared)| self.conflict(declared, properties.get(name)?, &format!("`{name}`"), depth))
    }
}

/// The types that a schema allows; none where it does not say so in that way.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What a part refers to within its own schema.
fn resolved<'s>(part: &'s Value, whole: &'s Value) -> &'s Value {
    let reference = part.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| whole.pointer(pointer)).unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conflict(declared: &Value, given: &Value) -> Option<String> {
        Sides { declared, given }.conflict(declared, given, "the result", DEPTH_MAX)
    }

    #[test]
    fn only_what_can_never_fit_is_told() {
        let given = json!({
            "type": "object",
            "properties": { "total": { "type": "number" }, "first": { "$ref": "#/$defs/Line" }, "note": { "type": ["string", "null"] } },
            "required": ["total", "first", "note"],
            "$defs": { "Line": { "type": "object", "properties": { "sku": { "type": "string" }, "next": { "$ref": "#/$defs/Line" } }, "required": ["sku", "next"] } },
        });
        let fits = [
            json!({}),
            json!({ "type": "object", "required": ["total"] }),
            json!({ "properties": { "total": { "type": "integer" }, "note": { "type": "string" }, "other": { "type": "null" } } }),
            json!({ "properties": { "first": { "required": ["sku"] } } }),
        ];
        for declared in fits {
            assert_eq!(conflict(&declared, &given), None, "{declared}");
        }
        let told = |declared: Value| conflict(&declared, &given).expect("nothing fits");
        assert_eq!(told(json!({ "type": "array" })), "the result has to be array, and is object");
        let missing = "the result has to have `totals`, which the handler does not give";
        assert_eq!(told(json!({ "required": ["totals"] })), missing);
        let note = json!({ "properties": { "note": { "type": "number" } } });
        assert_eq!(told(note), "`note` has to be number, and is string or null");
        let sku = json!({ "properties": { "first": { "properties": { "next": { "properties": { "sku": { "type": "null" } } } } } } });
        assert_eq!(told(sku), "`sku` has to be null, and is string");
        let endless = json!({ "properties": { "next": { "$ref": "#" } }, "$ref": "#" });
        assert_eq!(conflict(&endless, &given), None);
    }
}
