//! The format as a JSON Schema, for editors that complete and check while one writes.

use serde_json::{Map, Value, json};

use super::keys::{
    BATCH, Block, ENVIRONMENT, ENVIRONMENT_STEP, EVENT, HANDLER, LIFECYCLE, Need, RETRY, STEP, TASK_HANDLER, TEMPLATE,
};

/// The JSON Schema (draft 2020-12) of a template. It is made of the same table of keys that the parser reads by.
///
/// It names what this version takes; the parser checks more, such as that dependencies exist. A key whose feature is not
/// built yet is named too, so that an editor can say so, but takes no value.
///
/// ```
/// let schema = tasker_types::template::json_schema();
/// assert_eq!(schema["required"], serde_json::json!(["name", "steps"]));
/// assert_eq!(schema["$defs"]["retry"]["properties"]["max_attempts"]["maximum"], 1_000);
/// ```
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = object(&TEMPLATE);
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("tasker template"));
    schema.insert("description".to_owned(), json!("A workflow: its steps, and which waits for which."));
    schema.insert(
        "$defs".to_owned(),
        json!({
            "step": object(&STEP),
            "handler": object(&HANDLER),
            "retry": object(&RETRY),
            "batch_config": object(&BATCH),
            "lifecycle": object(&LIFECYCLE),
            "environment": object(&ENVIRONMENT),
            "environment_step": object(&ENVIRONMENT_STEP),
            "event": object(&EVENT),
            "task_handler": object(&TASK_HANDLER),
        }),
    );
    Value::Object(schema)
}

fn object(block: &Block) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in block.keys {
        let mut property = (key.schema)();
        if let Some(property) = property.as_object_mut() {
            property.insert("description".to_owned(), key.about.into());
            if matches!(key.need, Need::Older) {
                property.insert("deprecated".to_owned(), true.into());
            }
        }
        properties.insert(key.name.to_owned(), property);
    }
    let required = block.keys.iter().filter(|key| matches!(key.need, Need::Required)).map(|key| key.name);
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), properties.into());
    object.insert("required".to_owned(), required.collect());
    object.insert("additionalProperties".to_owned(), false.into());
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_exactly_the_keys_that_the_parser_knows() {
        let schema = json_schema();
        let blocks = [
            (&schema, &TEMPLATE),
            (&schema["$defs"]["step"], &STEP),
            (&schema["$defs"]["handler"], &HANDLER),
            (&schema["$defs"]["retry"], &RETRY),
            (&schema["$defs"]["batch_config"], &BATCH),
            (&schema["$defs"]["environment"], &ENVIRONMENT),
            (&schema["$defs"]["environment_step"], &ENVIRONMENT_STEP),
            (&schema["$defs"]["event"], &EVENT),
            (&schema["$defs"]["task_handler"], &TASK_HANDLER),
        ];
        for (object, block) in blocks {
            let mut known: Vec<_> = block.keys.iter().map(|key| key.name).collect();
            known.sort_unstable();
            let mut named: Vec<_> = object["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            named.sort_unstable();
            assert_eq!(named, known);
            assert_eq!(object["additionalProperties"], false);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = json_schema();
        let text = schema.to_string();
        let references = text.split("\"#/$defs/").skip(1).map(|rest| rest.split('"').next().unwrap());
        let mut count = 0;
        for name in references {
            assert!(schema["$defs"][name].is_object(), "{name}");
            count += 1;
        }
        assert_eq!(count, 11);
    }
}
