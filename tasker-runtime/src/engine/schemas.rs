//! JSON Schemas of templates: each is compiled once for a pinned template, and looks nothing up outside itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tasker_types::{StepNumber, Template};

use super::Error;
use super::derived::TakenInput;
use crate::core::{Pinned, TemplateId};

/// The most places of a value that are told at once.
#[cfg(feature = "schemas")]
const MOST_TOLD: usize = 8;

/// A schema that values are held against.
#[derive(Debug)]
pub(crate) struct Schema {
    #[cfg(feature = "schemas")]
    validator: jsonschema::Validator,
    #[cfg(not(feature = "schemas"))]
    never: std::convert::Infallible,
}

impl Schema {
    /// Compiles a schema: draft 2020-12, unless its `$schema` says another one.
    ///
    /// # Errors
    /// It is none, refers to another file, or needs more of regular expressions than can be matched in linear time. The
    /// sentence says where in the schema, and what.
    #[cfg(feature = "schemas")]
    pub(crate) fn compile(schema: &Value) -> Result<Self, String> {
        let options = jsonschema::options().offline().with_pattern_options(jsonschema::PatternOptions::regex());
        let validator = options.build(schema).map_err(|error| located("", error.instance_path().as_str(), &error))?;
        Ok(Self { validator })
    }

    /// Nothing is compiled in this build.
    #[cfg(not(feature = "schemas"))]
    pub(crate) fn compile(_: &Value) -> Result<Self, String> {
        Err("this build checks no schemas: it has neither a database nor the feature `testing`".to_owned())
    }

    /// Where the value does not fit, and why; values are not told, as they may be secrets.
    pub(crate) fn misfits(&self, value: &Value) -> Option<String> {
        self.misfits_under("", value)
    }

    /// The same, of a value that is under this key of another.
    #[cfg(feature = "schemas")]
    pub(crate) fn misfits_under(&self, key: &str, value: &Value) -> Option<String> {
        let mut errors = self.validator.iter_errors(value);
        let told: Vec<String> = errors
            .by_ref()
            .take(MOST_TOLD)
            .map(|error| located(key, error.instance_path().as_str(), &error.masked_with("the value")))
            .collect();
        let more = match errors.count() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        (!told.is_empty()).then(|| format!("{}{more}", told.join("; ")))
    }

    #[cfg(not(feature = "schemas"))]
    pub(crate) fn misfits_under(&self, _: &str, _: &Value) -> Option<String> {
        match self.never {}
    }
}

/// A sentence with the place that it is about; what is wrong with the whole needs none.
#[cfg(feature = "schemas")]
fn located(key: &str, pointer: &str, what: &dyn std::fmt::Display) -> String {
    let path = path(key, pointer);
    if path.is_empty() { what.to_string() } else { format!("`{path}`: {what}") }
}

/// A JSON pointer below a key as the path that other messages name: `items[0].price`.
#[cfg(feature = "schemas")]
fn path(key: &str, pointer: &str) -> String {
    let mut path = key.to_owned();
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let is_index = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        match (is_index, path.is_empty()) {
            (true, _) => path.push_str(&format!("[{segment}]")),
            (false, true) => path = segment,
            (false, false) => path.push_str(&format!(".{segment}")),
        }
    }
    path
}

/// Whose schema it is: that of the context, or of a step's result.
type Key = (TemplateId, Option<StepNumber>);

/// The schemas of pinned templates that were needed so far.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<HashMap<Key, Arc<Schema>>>, Mutex<HashMap<TemplateId, Arc<[TakenInput]>>>);

impl Schemas {
    /// The schema of a task's context, where the template has one.
    pub(super) fn of_context(&self, pinned: &Pinned) -> Result<Option<Arc<Schema>>, String> {
        self.find((pinned.id, None), pinned.template.input_schema.as_ref())
    }

    /// The schema of the step's result, where it has one.
    pub(super) fn of_result(&self, pinned: &Pinned, number: StepNumber) -> Result<Option<Arc<Schema>>, String> {
        let schema = pinned.step(number).definition.result_schema.as_ref();
        self.find((pinned.id, Some(pinned.template_step(number))), schema)
    }

    /// What the steps of a template take from the context, made at the first time.
    pub(super) fn taken(
        &self,
        template: TemplateId,
        make: impl FnOnce() -> Result<Vec<TakenInput>, String>,
    ) -> Result<Arc<[TakenInput]>, String> {
        let mut known = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = known.get(&template) {
            return Ok(taken.clone());
        }
        let taken: Arc<[TakenInput]> = make()?.into();
        known.insert(template, taken.clone());
        Ok(taken)
    }

    fn find(&self, key: Key, schema: Option<&Value>) -> Result<Option<Arc<Schema>>, String> {
        let Some(schema) = schema else { return Ok(None) };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = known.get(&key) {
            return Ok(Some(compiled.clone()));
        }
        let compiled = Arc::new(Schema::compile(schema)?);
        known.insert(key, compiled.clone());
        Ok(Some(compiled))
    }
}

/// The template's schemas can be used.
pub(super) fn check(template: &Template) -> Result<(), Error> {
    let bad = |what: String, reason: String| Error::BadSchema(format!("{what} cannot be used: {reason}"));
    if let Some(schema) = &template.input_schema {
        Schema::compile(schema)
            .map_err(|reason| bad(format!("`input_schema` of template `{}`", template.name), reason))?;
    }
    for step in &template.steps {
        if let Some(schema) = &step.result_schema {
            Schema::compile(schema)
                .map_err(|reason| bad(format!("`result_schema` of step `{}`", step.name), reason))?;
        }
    }
    Ok(())
}

#[cfg(all(test, feature = "schemas"))]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_misfit_is_told_with_its_path_and_without_the_value() {
        let price = json!({ "type": "number", "minimum": 0 });
        let item = json!({ "type": "object", "properties": { "price": price }, "required": ["price"] });
        let schema = json!({ "required": ["customer"], "properties": { "items": { "type": "array", "items": item } } });
        let schema = Schema::compile(&schema).unwrap();
        assert_eq!(schema.misfits(&json!({ "customer": 1, "items": [{ "price": 2 }] })), None);
        let told = schema.misfits(&json!({ "items": [{ "price": "secret" }, { "price": -1 }, {}] })).unwrap();
        for part in [
            "\"customer\" is a required property",
            "`items[0].price`: the value is not of type \"number\"",
            "`items[1].price`: the value is less than the minimum of 0",
            "`items[2]`: \"price\" is a required property",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains("secret"), "{told}");
        let many =
            Schema::compile(&json!({ "items": { "type": "null" } })).unwrap().misfits(&json!(vec![1; 20])).unwrap();
        assert!(many.ends_with("; and 12 more"), "{many}");
    }

    #[test]
    fn a_schema_looks_nothing_up_outside_itself() {
        for reference in ["http://127.0.0.1:9/schema.json", "https://example.com/a", "file:///etc/passwd", "other.json"]
        {
            let refused = Schema::compile(&json!({ "$ref": reference }));
            assert!(refused.is_err(), "{reference}");
        }
        let own = json!({ "$defs": { "id": { "type": "integer" } }, "properties": { "id": { "$ref": "#/$defs/id" } } });
        assert!(Schema::compile(&own).unwrap().misfits(&json!({ "id": "x" })).is_some());
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        let told = Schema::compile(&json!({ "properties": { "a": { "type": "strng" } } })).unwrap_err();
        assert!(told.starts_with("`properties.a.type`: "), "{told}");
        // A pattern that could take for ever is none: it is matched in linear time, or not at all.
        assert!(Schema::compile(&json!({ "pattern": "(?=a)b" })).is_err());
        let slow = Schema::compile(&json!({ "pattern": "^(a+)+$" })).unwrap();
        assert!(slow.misfits(&json!(format!("{}b", "a".repeat(50_000)))).is_some());
    }
}
