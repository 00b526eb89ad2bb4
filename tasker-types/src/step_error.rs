//! Why a step failed, and whether another try makes sense.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::{DataError, StepExecutionResult, error_types};

/// Why a step failed, and whether another try makes sense.
///
/// ```
/// use std::time::Duration;
/// use tasker_types::StepError;
///
/// let busy = StepError::retryable("the gateway is busy").with_code("GATEWAY_BUSY").with_retry_after(Duration::from_secs(2));
/// assert!(busy.is_retryable());
/// assert_eq!(busy.error_type(), "retryable_error");
/// assert!(!StepError::permanent("the card was stolen").is_retryable());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StepError(Box<Fields>);

#[derive(Debug, Clone, PartialEq)]
struct Fields {
    message: String,
    error_type: Option<String>,
    code: Option<String>,
    retryable: bool,
    retry_after: Option<Duration>,
    context: HashMap<String, Value>,
}

impl StepError {
    /// Another try may succeed: the step is tried again as its policy says.
    #[must_use]
    pub fn retryable(message: impl Into<String>) -> Self {
        Self::new(message.into(), true)
    }

    /// It will fail however often it is tried: the step fails at once.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(message.into(), false)
    }

    /// The input is not what the step needs; it is not tried again.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::permanent(message).with_type(error_types::VALIDATION_ERROR)
    }

    fn new(message: String, retryable: bool) -> Self {
        Self(Box::new(Fields {
            message,
            error_type: None,
            code: None,
            retryable,
            retry_after: None,
            context: HashMap::new(),
        }))
    }

    /// The text of an error and of all its causes, each said once.
    #[doc(hidden)]
    #[must_use]
    pub fn chain(error: &(dyn Error + 'static)) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let said = next.to_string();
            // Many errors print their cause in their own text.
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = next.source();
        }
        text
    }

    /// Sets the error's code: a stable word of the application's own.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Sets the error's type, best one of [`error_types`].
    #[must_use]
    pub fn with_type(mut self, error_type: impl Into<String>) -> Self {
        self.0.error_type = Some(error_type.into());
        self
    }

    /// Asks for at least this delay before the next try. It is capped by the step's `max_backoff_ms`.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds a value that is kept with the error, for whoever looks at the step.
    #[must_use]
    pub fn with_context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.context.insert(key.into(), value.into());
        self
    }

    /// Says whether another try makes sense, whatever was said before.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Sets what happened, in other words.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether another try makes sense.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The error's type; without one of its own, `retryable_error` or `permanent_error`.
    #[must_use]
    pub fn error_type(&self) -> &str {
        let default = if self.0.retryable { error_types::RETRYABLE_ERROR } else { error_types::PERMANENT_ERROR };
        self.0.error_type.as_deref().unwrap_or(default)
    }

    /// The error's code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The shortest delay before another try.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The failure of the step `step_uuid` that this error stands for.
    #[must_use]
    pub fn into_result(self, step_uuid: Uuid) -> StepExecutionResult {
        let error_type = self.error_type().to_owned();
        let Fields { message, code, retryable, retry_after, context, .. } = *self.0;
        let mut failure = StepExecutionResult::failure(step_uuid, message, error_type, retryable);
        failure.metadata.error_code = code;
        failure.metadata.custom = context;
        match retry_after {
            Some(delay) => failure.with_retry_after(delay),
            None => failure,
        }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for StepError {}

impl From<DataError> for StepError {
    /// What is missing or misshapen today will be so at the next try.
    fn from(error: DataError) -> Self {
        Self::validation(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Outer(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner(#[source] Innermost);
    #[derive(Debug, thiserror::Error)]
    #[error("innermost")]
    struct Innermost;

    #[test]
    fn a_chain_says_each_cause_once() {
        assert_eq!(StepError::chain(&Outer(Inner(Innermost))), "outer: inner: innermost");
    }

    #[test]
    fn a_result_keeps_everything_that_was_said() {
        let error = StepError::retryable("busy")
            .with_code("BUSY")
            .with_retry_after(Duration::from_millis(1_500))
            .with_context("host", "a");
        let failure = error.into_result(Uuid::nil());
        assert!(!failure.success);
        assert_eq!(failure.error_message.as_deref(), Some("busy"));
        assert_eq!((failure.error_type(), failure.error_code()), (Some("retryable_error"), Some("BUSY")));
        assert_eq!(failure.metadata.retry_after_ms, Some(1_500));
        assert_eq!(failure.metadata.custom["host"], json!("a"));
        assert!(failure.metadata.retryable);
    }

    #[test]
    fn the_default_type_follows_the_last_word_on_retrying() {
        assert_eq!(StepError::permanent("x").with_retryable(true).error_type(), "retryable_error");
        assert_eq!(StepError::validation("x").with_retryable(true).error_type(), "validation_error");
    }
}
