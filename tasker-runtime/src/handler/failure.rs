//! How a handler's errors become failures of its step.

use std::error::Error;

use tasker_types::{DataError, StepError, StepExecutionResult, error_types};
use uuid::Uuid;

use super::CheckpointError;

/// An error that a handler may return: it can say whether another try makes sense.
///
/// `#[derive(StepFailure)]` writes it for an enum of the application's own. `anyhow::Error` has it too: such an error
/// is tried again as the step's policy says, unless it carries a [`StepError`] that says otherwise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error type of a step handler",
    label = "the engine cannot tell whether a `{Self}` may be retried",
    note = "add `#[derive(tasker::StepFailure)]` to `{Self}` and mark it `#[step(retryable)]` or `#[step(permanent)]`,",
    note = "or return `anyhow::Result<_>` or `Result<_, tasker::StepError>`"
)]
pub trait StepFailure {
    /// The failure that this error stands for.
    fn into_step_error(self) -> StepError;

    /// The failure that this error stands for where a handler classifies its failures itself, as results: then an
    /// error without a class is unrecoverable.
    #[doc(hidden)]
    fn into_unrecoverable(self) -> StepError
    where
        Self: Sized,
    {
        self.into_step_error()
    }
}

impl StepFailure for StepError {
    fn into_step_error(self) -> StepError {
        self
    }
}

impl StepFailure for DataError {
    fn into_step_error(self) -> StepError {
        self.into()
    }
}

impl StepFailure for anyhow::Error {
    fn into_step_error(self) -> StepError {
        classified(&self).unwrap_or_else(|| StepError::retryable(message_of(&self)))
    }

    fn into_unrecoverable(self) -> StepError {
        classified(&self).unwrap_or_else(|| unclassified(message_of(&self)))
    }
}

impl StepFailure for Box<dyn Error + Send + Sync> {
    fn into_step_error(self) -> StepError {
        let error: Box<dyn Error> = self;
        error.into_step_error()
    }

    fn into_unrecoverable(self) -> StepError {
        let error: Box<dyn Error> = self;
        error.into_unrecoverable()
    }
}

impl StepFailure for Box<dyn Error> {
    fn into_step_error(self) -> StepError {
        let text = StepError::chain(self.as_ref());
        class_in(self.as_ref()).unwrap_or_else(|| StepError::retryable("")).with_message(text)
    }

    fn into_unrecoverable(self) -> StepError {
        let text = StepError::chain(self.as_ref());
        class_in(self.as_ref()).unwrap_or_else(|| unclassified(String::new())).with_message(text)
    }
}

impl StepFailure for std::convert::Infallible {
    fn into_step_error(self) -> StepError {
        match self {}
    }
}

/// Says of any error whether another try makes sense.
///
/// ```
/// use tasker_runtime::handler::Classify;
/// use tasker_types::StepError;
///
/// fn parse(text: &str) -> Result<u32, StepError> {
///     text.parse().permanent()
/// }
/// assert!(!parse("many").unwrap_err().is_retryable());
/// ```
pub trait Classify<T> {
    /// It will fail however often it is tried.
    ///
    /// # Errors
    /// The same failure, classified.
    fn permanent(self) -> Result<T, StepError>;

    /// Another try may succeed.
    ///
    /// # Errors
    /// The same failure, classified.
    fn retryable(self) -> Result<T, StepError>;
}

impl<T, E: Into<anyhow::Error>> Classify<T> for Result<T, E> {
    fn permanent(self) -> Result<T, StepError> {
        self.map_err(|error| classify(&error.into(), false))
    }

    fn retryable(self) -> Result<T, StepError> {
        self.map_err(|error| classify(&error.into(), true))
    }
}

fn classify(error: &anyhow::Error, retryable: bool) -> StepError {
    let class = classified(error).unwrap_or_else(|| StepError::retryable(message_of(error)));
    class.with_retryable(retryable)
}

/// The failure that a raw handler's `Err` stands for: unrecoverable, unless the error itself says otherwise.
pub(super) fn unrecoverable(step_uuid: Uuid, error: anyhow::Error) -> StepExecutionResult {
    error.into_unrecoverable().into_result(step_uuid)
}

fn unclassified(message: String) -> StepError {
    StepError::permanent(message).with_type(error_types::HANDLER_ERROR)
}

/// The class that an error carries, however deep; what was put around it stays in the message.
fn classified(error: &anyhow::Error) -> Option<StepError> {
    // `downcast_ref` on the error itself also sees a class that was given as the context of another error.
    let outermost = error.downcast_ref::<StepError>().cloned();
    let class = outermost.or_else(|| class_in(error.as_ref()))?;
    Some(class.with_message(message_of(error)))
}

/// The class that an error or one of its causes carries.
fn class_in(error: &(dyn Error + 'static)) -> Option<StepError> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(class) = cause.downcast_ref::<StepError>() {
            return Some(class.clone());
        }
        if let Some(data) = cause.downcast_ref::<DataError>() {
            return Some(data.clone().into());
        }
        if let Some(checkpoint) = cause.downcast_ref::<CheckpointError>() {
            return Some(checkpoint.clone().into());
        }
        next = cause.source();
    }
    None
}

/// The error's text with that of its causes, each said once.
fn message_of(error: &anyhow::Error) -> String {
    StepError::chain(error.as_ref())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_plain_error_of_a_typed_handler_may_be_tried_again() {
        let error = anyhow!("connection reset").context("cannot charge").into_step_error();
        assert_eq!((error.message(), error.is_retryable()), ("cannot charge: connection reset", true));
    }

    #[test]
    fn a_class_survives_the_context_put_around_it() {
        let stolen = StepError::permanent("card stolen").with_code("STOLEN");
        let error = Err::<(), _>(stolen).context("cannot charge").expect_err("it failed").into_step_error();
        assert!(!error.is_retryable());
        assert_eq!((error.message(), error.code()), ("cannot charge: card stolen", Some("STOLEN")));
    }

    #[test]
    fn a_checkpoint_that_was_not_saved_is_tried_again_even_where_errors_are_unrecoverable() {
        let failure = unrecoverable(Uuid::nil(), CheckpointError::NotSaved("the database is away".into()).into());
        assert!(failure.metadata.retryable);
        let failure = unrecoverable(Uuid::nil(), CheckpointError::NotStorable("is nested too deep".into()).into());
        assert!(!failure.metadata.retryable);
    }

    #[test]
    fn a_class_given_as_context_counts() {
        let error = anyhow!("refused").context(StepError::permanent("cannot charge")).into_step_error();
        assert_eq!((error.message(), error.is_retryable()), ("cannot charge: refused", false));
    }

    #[test]
    fn a_plain_error_of_a_raw_handler_is_unrecoverable() {
        let failure = unrecoverable(Uuid::nil(), anyhow!("Fatal system error"));
        assert!(!failure.metadata.retryable);
        assert_eq!(failure.error_type(), Some(error_types::HANDLER_ERROR));
        let failure = unrecoverable(Uuid::nil(), StepError::retryable("busy").into());
        assert!(failure.metadata.retryable);
        assert_eq!(failure.error_type(), Some(error_types::RETRYABLE_ERROR));
    }

    #[test]
    fn boxed_errors_keep_their_class() {
        let boxed: Box<dyn Error + Send + Sync> = StepError::permanent("no").into();
        assert!(!boxed.into_step_error().is_retryable());
        let boxed: Box<dyn Error> = StepError::permanent("no").into();
        assert!(!boxed.into_step_error().is_retryable());
        let boxed: Box<dyn Error> = "text".into();
        assert!(boxed.into_step_error().is_retryable());
    }

    #[test]
    fn the_last_word_on_a_result_counts() {
        let twice = Err::<(), _>(anyhow!("x")).retryable().permanent();
        assert!(!twice.expect_err("it failed").is_retryable());
    }
}
