//! What a handler is made with.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tasker_types::decode::{absent, decode};
use tasker_types::{DataError, look_up};

/// What a template's `handler.initialization` says, given to a handler when it is made.
///
/// ```
/// use serde_json::json;
/// use tasker_runtime::handler::StepHandlerConfig;
///
/// let config = StepHandlerConfig::from(json!({ "gateway": { "url": "https://pay.example" }, "limit": 3 }));
/// assert_eq!(config.get::<String>("gateway.url")?, "https://pay.example");
/// assert_eq!(config.get_or("currency", "EUR".to_owned()), "EUR");
/// assert_eq!(config.get::<u8>("limits").unwrap_err().to_string(), "the handler's `initialization` has no `limits`");
/// # Ok::<(), tasker_types::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StepHandlerConfig(Arc<Value>);

impl StepHandlerConfig {
    /// The value of `key`; dots lead into objects. An `Option` is `None` where the key is missing.
    ///
    /// # Errors
    /// The key is missing, or its value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<T, DataError> {
        match look_up(&self.0, key) {
            Some(value) => {
                decode(value).map_err(|wrong| DataError::BadConfig { key: wrong.under(key), reason: wrong.reason })
            }
            None => absent().ok_or_else(|| DataError::MissingConfig { key: key.to_owned() }),
        }
    }

    /// The value of `key`, or `default` where it is missing, `null` or of another shape.
    pub fn get_or<T: DeserializeOwned>(&self, key: &str, default: T) -> T {
        match look_up(&self.0, key) {
            None | Some(Value::Null) => default,
            Some(value) => T::deserialize(value).unwrap_or(default),
        }
    }

    /// The whole of it as a `T`.
    ///
    /// # Errors
    /// It does not have the shape of a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, DataError> {
        decode(&self.0).map_err(|wrong| DataError::BadConfig { key: wrong.path, reason: wrong.reason })
    }

    /// The whole of it as JSON.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}

impl Default for StepHandlerConfig {
    /// An empty object: what a template without `initialization` gives.
    fn default() -> Self {
        Self::from(Value::Object(serde_json::Map::new()))
    }
}

impl From<Value> for StepHandlerConfig {
    fn from(initialization: Value) -> Self {
        match initialization {
            Value::Null => Self::default(),
            value => Self(Arc::new(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Limits {
        #[allow(dead_code, reason = "only the shape matters here")]
        most: u32,
    }

    #[test]
    fn a_template_without_initialization_gives_an_empty_object() {
        assert_eq!(StepHandlerConfig::from(Value::Null).as_value(), &json!({}));
    }

    #[test]
    fn a_value_of_another_shape_is_named_with_its_place() {
        let config = StepHandlerConfig::from(json!({ "limits": { "most": "many" } }));
        let error = config.get::<Limits>("limits").expect_err("a word is no number");
        let text = "`limits.most` of the handler's `initialization`: invalid type: string \"many\", expected u32";
        assert_eq!(error.to_string(), text);
        assert!(config.parse::<Limits>().is_err());
    }
}
