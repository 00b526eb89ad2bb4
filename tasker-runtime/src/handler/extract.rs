//! Where a handler's arguments come from. Generated code calls these; each is generic over the argument's type alone.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tasker_types::decode::{Mismatch, absent, decode};
use tasker_types::{DataError, StepError, TaskSequenceStep, error_types, look_up};

use super::{AttemptScope, StepContext, StepHandlerConfig};

/// What a handler takes as an argument without an attribute: the raw step, a [`StepContext`], or an extractor of the
/// application's own.
///
/// ```
/// use tasker_runtime::handler::FromStep;
/// use tasker_types::{StepError, TaskSequenceStep};
///
/// /// Who the task belongs to.
/// struct Tenant<'s>(&'s str);
///
/// impl<'s> FromStep<'s> for Tenant<'s> {
///     fn from_step(step: &'s TaskSequenceStep) -> Result<Self, StepError> {
///         let tenant = step.task.context["tenant"].as_str();
///         tenant.map(Tenant).ok_or_else(|| StepError::validation("the task has no tenant"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "step handlers cannot be given an argument of type `{Self}`",
    label = "say where this value comes from",
    note = "from the task's context: `#[input]` (the key is the argument's name) or `#[input(\"a.key\")]`; all of it: `#[context]`",
    note = "from an earlier step: `#[dependency(its_handler)]`; from the template's `initialization`: `#[config]`; from the application: `#[state]`",
    note = "without an attribute: `&TaskSequenceStep`, `StepContext<'_>`, and types that implement `tasker::FromStep`"
)]
pub trait FromStep<'s>: Sized {
    /// Takes the value out of what an attempt is given.
    ///
    /// # Errors
    /// The attempt fails with this error before the handler runs.
    fn from_step(step: &'s TaskSequenceStep) -> Result<Self, StepError>;
}

impl<'s> FromStep<'s> for &'s TaskSequenceStep {
    fn from_step(step: &'s TaskSequenceStep) -> Result<Self, StepError> {
        Ok(step)
    }
}

impl<'s> FromStep<'s> for StepContext<'s> {
    fn from_step(step: &'s TaskSequenceStep) -> Result<Self, StepError> {
        Ok(Self::new(step))
    }
}

/// A type that can be read from JSON: every `DeserializeOwned`, under a name of ours that brings our own message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from JSON, so a step handler cannot be given it",
    label = "`{Self}` is not `serde::de::DeserializeOwned`",
    note = "add `#[derive(serde::Deserialize)]` to the type, and let it own its data"
)]
pub trait StepInput: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// The first place that does not fit.
    fn read(value: &Value) -> Result<Self, Mismatch>;

    /// What the type is where there is no value.
    fn absent() -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> StepInput for T {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        decode(value)
    }

    fn absent() -> Option<Self> {
        absent()
    }
}

/// `#[input("key")]`
pub fn input<T: StepInput>(step: &TaskSequenceStep, key: &str) -> Result<T, StepError> {
    match look_up(&step.task.context, key) {
        Some(value) => T::read(value).map_err(|wrong| bad_input(wrong, key)),
        None => T::absent().ok_or_else(|| missing_input(key)),
    }
}

/// `#[input("key", default = ..)]`
pub fn input_or<T: StepInput>(step: &TaskSequenceStep, key: &str, default: impl FnOnce() -> T) -> Result<T, StepError> {
    match look_up(&step.task.context, key) {
        None | Some(Value::Null) => Ok(default()),
        Some(value) => T::read(value).map_err(|wrong| bad_input(wrong, key)),
    }
}

/// `#[context]`
pub fn context<T: StepInput>(step: &TaskSequenceStep) -> Result<T, StepError> {
    T::read(&step.task.context).map_err(bad_context)
}

/// `#[config]`
pub fn config<T: StepInput>(config: &StepHandlerConfig) -> Result<T, StepError> {
    T::read(config.as_value()).map_err(|wrong| bad_config(wrong, ""))
}

/// `#[config("key")]`
pub fn config_key<T: StepInput>(config: &StepHandlerConfig, key: &str) -> Result<T, StepError> {
    match look_up(config.as_value(), key) {
        Some(value) => T::read(value).map_err(|wrong| bad_config(wrong, key)),
        None => T::absent().ok_or_else(|| missing_config(key)),
    }
}

/// `#[config("key", default = ..)]`
pub fn config_key_or<T: StepInput>(
    config: &StepHandlerConfig,
    key: &str,
    default: impl FnOnce() -> T,
) -> Result<T, StepError> {
    match look_up(config.as_value(), key) {
        None | Some(Value::Null) => Ok(default()),
        Some(value) => T::read(value).map_err(|wrong| bad_config(wrong, key)),
    }
}

/// `#[dependency(step)]`
pub fn dependency<T: StepInput>(step: &TaskSequenceStep, name: &str) -> Result<T, StepError> {
    match step.dependency_results.get(name) {
        Some(found) => T::read(&found.result).map_err(|wrong| bad_dependency(wrong, name, &found.result)),
        None => T::absent().ok_or_else(|| missing_dependency(name)),
    }
}

/// `#[dependencies(prefix = "..")]`: the results of all earlier steps whose names begin so.
pub fn dependencies<T: StepInput>(step: &TaskSequenceStep, prefix: &str) -> Result<T, StepError> {
    let found = step.dependency_results.iter().filter(|(name, _)| name.starts_with(prefix));
    let results = found.map(|(name, result)| (name.to_owned(), result.result.clone())).collect();
    T::read(&Value::Object(results)).map_err(|wrong| bad_dependency(wrong, prefix, &Value::Bool(true)))
}

/// `#[state]`
pub fn state<T: 'static>(step: &TaskSequenceStep) -> Result<&T, StepError> {
    state_if_any(step).ok_or_else(|| missing_state(std::any::type_name::<T>()))
}

/// `#[state]` of an `Option<&T>`
pub fn state_if_any<T: 'static>(step: &TaskSequenceStep) -> Option<&T> {
    AttemptScope::of(step).and_then(|scope| scope.state.get::<T>())
}

/// An argument without an attribute.
pub fn from_step<'s, T: FromStep<'s>>(step: &'s TaskSequenceStep) -> Result<T, StepError> {
    T::from_step(step)
}

#[cold]
fn missing_input(key: &str) -> StepError {
    DataError::MissingInput { key: key.to_owned() }.into()
}

#[cold]
fn bad_input(wrong: Mismatch, key: &str) -> StepError {
    DataError::BadInput { key: wrong.under(key), reason: wrong.reason }.into()
}

#[cold]
fn bad_context(wrong: Mismatch) -> StepError {
    StepError::validation(format!("the task's context: {}", wrong.located()))
}

#[cold]
fn missing_config(key: &str) -> StepError {
    DataError::MissingConfig { key: key.to_owned() }.into()
}

#[cold]
fn bad_config(wrong: Mismatch, key: &str) -> StepError {
    if key.is_empty() {
        return StepError::validation(format!("the handler's `initialization`: {}", wrong.located()));
    }
    DataError::BadConfig { key: wrong.under(key), reason: wrong.reason }.into()
}

#[cold]
fn missing_dependency(step: &str) -> StepError {
    DataError::MissingDependency { step: step.to_owned() }.into()
}

#[cold]
fn bad_dependency(wrong: Mismatch, step: &str, value: &Value) -> StepError {
    let reason = if value.is_null() {
        "it is null: the step was skipped, or returned nothing; a handler that can do without takes an `Option`"
            .to_owned()
    } else {
        wrong.located()
    };
    DataError::BadDependency { step: step.to_owned(), reason }.into()
}

#[cold]
fn missing_state(type_name: &str) -> StepError {
    StepError::permanent(format!("the application's state has no `{type_name}`: add it with `.state(..)`"))
        .with_type(error_types::HANDLER_ERROR)
        .with_code("MISSING_STATE")
}
