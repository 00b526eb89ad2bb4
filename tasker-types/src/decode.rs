//! Reads a value out of JSON, and says where it does not fit.

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// A JSON value does not have the shape that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The place in the value, such as `items[2].price`; empty for the value itself.
    pub path: String,
    /// What does not fit there.
    pub reason: String,
}

impl Mismatch {
    /// The place as seen from a value that is itself called `name`.
    #[must_use]
    pub fn under(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path if path.starts_with('[') => format!("{name}{path}"),
            path => format!("{name}.{path}"),
        }
    }

    /// The reason, and the place where there is one to name.
    #[must_use]
    pub fn located(self) -> String {
        if self.path.is_empty() { self.reason } else { format!("`{}`: {}", self.path, self.reason) }
    }
}

/// Reads a `T` out of `value`.
///
/// # Errors
/// The first place that does not fit.
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, Mismatch> {
    serde_path_to_error::deserialize(value).map_err(|error| mismatch(&error.path().to_string(), error.inner()))
}

#[cold]
fn mismatch(path: &str, error: &serde_json::Error) -> Mismatch {
    Mismatch { path: if path == "." { String::new() } else { path.to_owned() }, reason: error.to_string() }
}

/// What a `T` is where there is no value: `Some` for an `Option` and for whatever else can be made from nothing.
///
/// Asking the type itself, not its spelling, lets an alias of `Option` work.
#[must_use]
pub fn absent<T: DeserializeOwned>() -> Option<T> {
    T::deserialize(Absent).ok()
}

/// A deserializer without a value: an `Option` is `None`, and all else an error.
struct Absent;

/// The error of [`Absent`]; nobody reads it.
#[derive(Debug)]
struct Nothing;

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no value")
    }
}

impl std::error::Error for Nothing {}

impl de::Error for Nothing {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Absent {
    type Error = Nothing;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Nothing> {
        Err(Nothing)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Nothing> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Nothing> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Item {
        price: f64,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Maybe(Option<i64>);

    #[test]
    fn a_mismatch_names_the_place_and_the_reason() {
        let error =
            decode::<Vec<Item>>(&json!([{ "price": 1.5 }, { "price": "dear" }])).expect_err("a word is no price");
        assert_eq!(error.under("items"), "items[1].price");
        assert_eq!(error.reason, "invalid type: string \"dear\", expected f64");
        let error = decode::<i64>(&json!("x")).expect_err("a word is no number");
        assert_eq!(error.under("count"), "count");
    }

    #[test]
    fn only_what_can_be_made_from_nothing_may_be_absent() {
        assert_eq!(absent::<Option<i64>>(), Some(None));
        assert_eq!(absent::<Maybe>(), Some(Maybe(None)));
        assert_eq!(absent::<i64>(), None);
        assert_eq!(absent::<Vec<i64>>(), None);
        assert_eq!(absent::<Value>(), None);
    }
}
