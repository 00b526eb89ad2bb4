//! Free values: from nodes to JSON, and JSON's canonical text.

use serde_json::{Map, Number, Value};

use super::codes;
use super::dialect::Dialect;
use super::node::{At, Kind, Node};
use super::report::Report;
use super::scalar::{Scalar, quoted, resolve};

/// The node as JSON. What JSON cannot hold is reported and becomes `null`.
pub(super) fn to_json(node: &Node<'_>, dialect: &mut Dialect, report: &mut Report) -> Value {
    match &node.kind {
        Kind::Scalar { text, plain } => scalar(text, *plain, node.at, report),
        Kind::List(items) => items.iter().map(|item| to_json(item, dialect, report)).collect(),
        Kind::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                let key = dialect.key(entry);
                let value = to_json(&entry.value, dialect, report);
                if map.insert(key.to_owned(), value).is_some() {
                    let message = format!("the key {} is given twice", quoted(key));
                    report
                        .add(&codes::DUPLICATE_KEY, entry.key_at, message)
                        .help("with and without a leading colon it is the same key");
                }
            }
            Value::Object(map)
        }
    }
}

fn scalar(text: &str, plain: bool, at: At, report: &mut Report) -> Value {
    let number = match resolve(text, plain) {
        Scalar::Null => return Value::Null,
        Scalar::Bool(value) => return Value::Bool(value),
        Scalar::Text(text) => return Value::String(text.to_owned()),
        Scalar::Int(value) => value.and_then(Number::from_i128),
        Scalar::Float(text) => text.parse().ok().and_then(Number::from_f64),
    };
    number.map_or_else(
        || {
            let message = format!("JSON cannot hold the number {}", quoted(text));
            report.add(&codes::NOT_JSON, at, message).help("put it in quotes to keep it as text");
            Value::Null
        },
        Value::Number,
    )
}

/// The value as JSON with sorted keys and without spaces: equal for values that differ in the order of their keys only. `1`
/// and `1.0` are different.
///
/// ```
/// use serde_json::json;
/// use tasker_types::canonical_json;
///
/// assert_eq!(canonical_json(&json!({ "b": [1, 2], "a": null })), r#"{"a":null,"b":[1,2]}"#);
/// ```
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

/// Writes JSON with sorted keys and without spaces. Whether `serde_json` keeps the order of keys
/// depends on a feature that any crate of a program may switch on, so it is not relied on.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|&(key, _)| key);
            out.push('{');
            for (at, (key, item)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(item, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_json_is_sorted_and_dense() {
        let mut out = String::new();
        write_canonical(&json!({ "b": [1, 2.5, "x\n"], "a": { "d": null, "c": true } }), &mut out);
        assert_eq!(out, r#"{"a":{"c":true,"d":null},"b":[1,2.5,"x\n"]}"#);
    }
}
