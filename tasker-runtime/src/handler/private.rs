//! What generated code needs. Not for people: it changes with the macros, in any release.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tasker_types::TaskSequenceStep;

use super::StepHandlerConfig as Config;

pub use core;
pub use core::primitive::{bool, str, u8, usize};
pub use std::borrow::ToOwned;
pub use std::boxed::Box;
pub use std::clone::Clone;
pub use std::convert::Into;
pub use std::default::Default;
pub use std::option::Option::{self, None, Some};
pub use std::result::Result::{self, Err, Ok};
pub use std::string::String;
pub use std::vec::Vec;

pub use anyhow;
pub use inventory;
pub use tasker_types::{Backoff, RetrySpec, StepError, StepExecutionResult};

pub use super::edges::{IsOutput, Producer, Produces, check_edge, producer};
pub use super::extract::{
    StepInput, config, config_key, config_key_or, context, dependencies, dependency, from_step, input, input_or, state,
    state_if_any,
};
pub use super::returns::{
    BranchesOf, BuildsResult, IsJson, IsOption, IsRaw, IsResult, Kind, No, NoBranches, Shape, StepOutput, StepReturn,
    Untyped, check_returns, finish, kind, reject,
};
pub use super::schema::{NoSchema, SchemaOf};
pub use super::{
    Branches, DependencySpec, HandlerEntry, InputSpec, RustStepHandler, StateNeed, StepFailure, StepHandlerConfig,
};
pub use tasker_types::TaskSequenceStep as Step;

/// What `call` returns under `#[async_trait]`.
pub type CallFuture<'a> = Pin<Box<dyn Future<Output = anyhow::Result<StepExecutionResult>> + Send + 'a>>;

/// What `HandlerEntry::factory` returns.
pub type Made = anyhow::Result<Box<dyn RustStepHandler>>;

/// Says at the handler's name that its future is not `Send`, and answers for it from there on.
pub fn assert_send<F: Future + Send>(future: F) -> impl Future<Output = F::Output> + Send {
    future
}

/// The factory of a handler that is made without a chance to fail.
///
/// # Errors
/// None.
pub fn factory<H: RustStepHandler + 'static>(config: Config) -> Made {
    Ok(Box::new(H::new(config)))
}

/// The handler inside of an `impl` block's handler: shared with the blocking pool, or why it could not be made.
pub type Inner<T> = Result<Arc<T>, StepError>;

/// What `new` of an `impl` block may return.
#[diagnostic::on_unimplemented(
    message = "`new` of a step handler cannot return `{Self}`",
    label = "`new` must return `Self` or `anyhow::Result<Self>`"
)]
pub trait IntoInner<T> {
    /// The handler, or why it could not be made.
    ///
    /// # Errors
    /// It could not be made.
    fn into_inner(self) -> Inner<T>;
}

impl<T> IntoInner<T> for T {
    fn into_inner(self) -> Inner<T> {
        Ok(Arc::new(self))
    }
}

impl<T, E: Into<anyhow::Error>> IntoInner<T> for Result<T, E> {
    fn into_inner(self) -> Inner<T> {
        self.map(Arc::new).map_err(|error| StepFailure::into_unrecoverable(error.into()))
    }
}

/// What `new` returned, as the handler inside.
pub fn inner<T, M: IntoInner<T>>(made: M) -> Inner<T> {
    made.into_inner()
}

/// Runs a handler on the blocking pool, in the span of its caller; a panic goes on here.
///
/// # Errors
/// As the handler's.
pub async fn run_blocking(
    step: &TaskSequenceStep,
    run: impl FnOnce(&TaskSequenceStep) -> anyhow::Result<StepExecutionResult> + Send + 'static,
) -> anyhow::Result<StepExecutionResult> {
    let step = step.clone();
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(|| run(&step))).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down: the attempt did not run, and another may.
            Err(stopped) => Err(StepError::retryable(format!("the blocking pool is closed: {stopped}")).into()),
        },
    }
}

/// Runs an async handler on the blocking pool's thread; its future need not be `Send`.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(future)
}

/// The text of an error that `#[derive(StepFailure)]` stands on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` derives `StepFailure` but is not a `std::error::Error`",
    label = "`{Self}` has no text to show",
    note = "derive `thiserror::Error` for it, or implement `Display` and `std::error::Error`"
)]
pub trait Describe {
    /// The error's text with that of its causes.
    fn describe(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<E: std::error::Error + 'static> Describe for E {
    fn describe(&self) -> String {
        StepError::chain(self)
    }
}
