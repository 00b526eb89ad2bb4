//! What is too much, or cannot be stored, whatever the store.

use serde_json::Value;

use super::Error;

/// The most bytes of a context or a result, as JSON.
pub(super) const JSON_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a checkpoint, as JSON: it is written again and again.
const CHECKPOINT_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting of a context or a result.
pub(super) const JSON_DEPTH_MAX: usize = 64;
/// The most bytes of a name or a label.
const LABEL_BYTES_MAX: usize = 255;

/// The value as JSON, or why it can't be stored; the sentence goes on from "the context" or "the result".
pub(super) fn to_json(value: &Value) -> Result<String, String> {
    within(value, JSON_BYTES_MAX)
}

/// The same of a checkpoint.
pub(super) fn checkpoint(value: &Value) -> Result<String, String> {
    within(value, CHECKPOINT_BYTES_MAX)
}

fn within(value: &Value, most: usize) -> Result<String, String> {
    if is_deeper_than(value, JSON_DEPTH_MAX) {
        return Err(format!("is nested deeper than {JSON_DEPTH_MAX} levels"));
    }
    let text = serde_json::to_string(value).map_err(|error| format!("cannot be written as JSON: {error}"))?;
    if text.len() > most {
        return Err(format!("has {} bytes as JSON; at most {most} are stored", text.len()));
    }
    if has_nul(&text) {
        return Err("holds a NUL character, which a database cannot store".to_owned());
    }
    Ok(text)
}

/// Whether a label can be stored.
pub(super) fn check_label(label: &str, text: &str) -> Result<(), Error> {
    if text.len() > LABEL_BYTES_MAX {
        return Err(Error::BadRequest(format!(
            "`{label}` has {} bytes; at most {LABEL_BYTES_MAX} are stored",
            text.len()
        )));
    }
    if text.contains('\0') {
        return Err(Error::BadRequest(format!("`{label}` holds a NUL character")));
    }
    Ok(())
}

/// Lets go of a value that was refused. To drop one takes stack for each level, and so deep a one would end the process.
pub(super) fn take_apart(value: Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(entries) => open.extend(entries.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}

fn is_deeper_than(value: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper_than(item, depth)),
        Value::Object(entries) => entries.values().any(|item| is_deeper_than(item, depth)),
        _ => false,
    }
}

/// Whether JSON holds `\u0000`, told apart from an escaped backslash that is followed by `u0000`.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = json[..at].bytes().rev().take_while(|&byte| byte == b'\\').count();
        backslashes % 2 == 0
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nul_is_refused_and_its_spelling_is_not() {
        assert!(to_json(&json!({ "a": "x\0y" })).is_err());
        assert!(to_json(&json!({ "\0": 1 })).is_err());
        assert!(to_json(&json!({ "a": "\\u0000" })).is_ok());
        assert!(to_json(&json!("\\\0")).is_err());
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(to_json(&nested(JSON_DEPTH_MAX - 1)).is_ok());
        assert!(to_json(&nested(JSON_DEPTH_MAX)).is_err());
        assert!(to_json(&json!("x".repeat(JSON_BYTES_MAX - 2))).is_ok());
        assert!(to_json(&json!("x".repeat(JSON_BYTES_MAX - 1))).is_err());
        assert!(checkpoint(&json!("x".repeat(CHECKPOINT_BYTES_MAX - 2))).is_ok());
        assert!(checkpoint(&json!("x".repeat(CHECKPOINT_BYTES_MAX - 1))).is_err());
    }
}
