//! JSON Schemas of what handlers take and give, out of their own types: with the feature `schemas`, where a type says its own.

use std::marker::PhantomData;

use serde_json::Value;

/// Makes a schema.
pub type MakeSchema = fn() -> Value;

/// A value that a handler takes from the task's context.
#[derive(Debug, Clone, Copy)]
pub struct InputSpec {
    /// Where it is in the context; dots lead into objects.
    pub key: &'static str,
    /// Whether the handler can do without.
    pub optional: bool,
    /// Its schema, where its type says one.
    pub schema: Option<MakeSchema>,
}

/// The schemas of a type that says its own.
#[derive(Debug)]
pub struct SchemaOf<T>(PhantomData<T>);

/// The answer where the type says none, or the feature `schemas` is off.
pub trait NoSchema {
    /// There is none of what is taken.
    const TAKEN: Option<MakeSchema> = None;
    /// There is none of what is given.
    const GIVEN: Option<MakeSchema> = None;
}

impl<T> NoSchema for SchemaOf<T> {}

#[cfg(feature = "schemars")]
impl<T: schemars::JsonSchema> SchemaOf<T> {
    /// Of a value that is read as a `T`.
    pub const TAKEN: Option<MakeSchema> = Some(taken::<T>);
    /// Of a value that is written as a `T`.
    pub const GIVEN: Option<MakeSchema> = Some(given::<T>);
}

#[cfg(feature = "schemars")]
fn taken<T: schemars::JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_deserialize();
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(feature = "schemars")]
fn given<T: schemars::JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
