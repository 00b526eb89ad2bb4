//! What a handler returns, whatever it returns, as the result of its step.
//!
//! A macro sees tokens, not types: `-> R` may be an alias of `Result`. So generated code asks the type itself. An
//! associated const of an inherent impl is preferred over one of a trait, so `IsResult::<R>::YES` is true for a `Result`
//! under any name and false, by [`No`], for all else. The answers select a [`StepReturn`] by a type, [`Kind`], which keeps its
//! impls from overlapping.

use std::marker::PhantomData;

use serde::Serialize;
use serde_json::Value;
use tasker_types::{StepError, StepExecutionResult, TaskSequenceStep, error_types};

use super::{Branches, Route, StepFailure};

/// The answer where no inherent impl says otherwise.
pub trait No {
    /// The answer.
    const YES: bool = false;
}

macro_rules! probe {
    ($(#[$doc:meta])* $name:ident { $(impl<$($param:ident),*> for $yes:ty;)+ }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<T>(PhantomData<T>);
        impl<T> No for $name<T> {}
        $(impl<$($param),*> $name<$yes> {
            /// The answer.
            pub const YES: bool = true;
        })+
    };
}

probe! {
    /// Whether `T` is a `Result`.
    IsResult { impl<T, E> for Result<T, E>; }
}
probe! {
    /// Whether `T` is a finished result of a step, or a `Result` with one.
    IsRaw { impl<> for StepExecutionResult; impl<E> for Result<StepExecutionResult, E>; }
}
probe! {
    /// Whether `T` is an `Option`.
    IsOption { impl<T> for Option<T>; }
}
probe! {
    /// Whether `T` may hold any JSON, so that there is no shape to compare.
    IsJson { impl<> for Value; impl<> for Option<Value>; impl<> for Untyped; }
}

/// The branches that a result of the type `T` chooses from: those of a [`Route`], and none for all else.
#[derive(Debug)]
pub struct BranchesOf<T>(PhantomData<T>);

/// The answer where the result is no [`Route`].
pub trait NoBranches {
    /// There are no branches.
    const BRANCHES: Option<&'static [&'static [&'static str]]> = None;
}

impl<T> NoBranches for BranchesOf<T> {}

impl<T: Branches> BranchesOf<Route<T>> {
    /// For each variant, the steps that go on.
    pub const BRANCHES: Option<&'static [&'static [&'static str]]> = Some(T::STEPS);
}

/// What the probes found, as a type: the compiler then answers once for each handler.
#[derive(Debug)]
pub struct Kind<const KIND: u8>;

/// A plain value.
type Plain = Kind<0>;
/// A `Result` with a value.
type Fallible = Kind<1>;
/// A finished result of a step.
type Raw = Kind<2>;
/// A `Result` with a finished result of a step.
type FallibleRaw = Kind<3>;

/// The number of the kind.
#[must_use]
pub const fn kind(is_result: bool, is_raw: bool) -> u8 {
    match (is_result, is_raw) {
        (false, false) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (true, true) => 3,
    }
}

/// A handler whose result nobody has given a type.
#[derive(Debug)]
pub struct Untyped;

/// The value inside a return type. No bounds here: a type that does not fit is told once, by [`StepReturn`].
pub trait Shape<K> {
    /// The value's type.
    type Output;
}

impl<T> Shape<Plain> for T {
    type Output = T;
}

impl<T, E> Shape<Fallible> for Result<T, E> {
    type Output = T;
}

impl Shape<Raw> for StepExecutionResult {
    type Output = Untyped;
}

impl<E> Shape<FallibleRaw> for Result<StepExecutionResult, E> {
    type Output = Untyped;
}

/// A value that a step may result in: every `Serialize`, under a name of ours that brings our own message.
#[diagnostic::on_unimplemented(
    message = "a step cannot result in `{Self}`: it cannot be written as JSON",
    label = "`{Self}` is not `serde::Serialize`",
    note = "add `#[derive(serde::Serialize)]` to the type"
)]
pub trait StepOutput {
    /// The value as JSON.
    ///
    /// # Errors
    /// The value has something that JSON has not, such as a map whose keys are no strings.
    fn to_json(&self) -> serde_json::Result<Value>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> StepOutput for T {
    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}

/// A return type with a finished result of a step, whose value only the attribute's `returns` can give a type.
#[diagnostic::on_unimplemented(
    message = "`returns` is for a handler that builds its `StepExecutionResult` itself",
    label = "this handler returns `{Self}`, so the type of its result is known: leave `returns` out"
)]
pub trait BuildsResult<K> {}

impl BuildsResult<Raw> for StepExecutionResult {}
impl<E> BuildsResult<FallibleRaw> for Result<StepExecutionResult, E> {}

/// Checks that `returns` has something to say.
pub const fn check_returns<K, R: BuildsResult<K>>() {}

/// A return type of one of the four kinds.
pub trait StepReturn<K> {
    /// The result of the step.
    ///
    /// # Errors
    /// None: an error of the handler is a result, too.
    fn into_result(self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult>;
}

impl<T: StepOutput> StepReturn<Plain> for T {
    fn into_result(self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let step_uuid = step.workflow_step.workflow_step_uuid;
        Ok(match self.to_json() {
            Ok(value) => StepExecutionResult::success(step_uuid, value, None),
            Err(error) => not_json(&error).into_result(step_uuid),
        })
    }
}

impl<T: StepOutput, E: StepFailure> StepReturn<Fallible> for Result<T, E> {
    fn into_result(self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        match self {
            Ok(value) => StepReturn::<Plain>::into_result(value, step),
            Err(error) => reject(step, error.into_step_error()),
        }
    }
}

impl StepReturn<Raw> for StepExecutionResult {
    fn into_result(self, _: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        Ok(self)
    }
}

impl<E: StepFailure> StepReturn<FallibleRaw> for Result<StepExecutionResult, E> {
    fn into_result(self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        self.or_else(|error| reject(step, error.into_unrecoverable()))
    }
}

/// The result of the step, out of what its handler returned.
///
/// # Errors
/// None: an error of the handler is a result, too.
pub fn finish<K, R: StepReturn<K>>(step: &TaskSequenceStep, returned: R) -> anyhow::Result<StepExecutionResult> {
    returned.into_result(step)
}

/// The failure of the step, where an argument could not be made.
///
/// # Errors
/// None: the error is the result.
#[cold]
pub fn reject(step: &TaskSequenceStep, error: StepError) -> anyhow::Result<StepExecutionResult> {
    Ok(error.into_result(step.workflow_step.workflow_step_uuid))
}

#[cold]
fn not_json(error: &serde_json::Error) -> StepError {
    StepError::permanent(format!("the result cannot be written as JSON: {error}")).with_type(error_types::HANDLER_ERROR)
}
