//! What an attempt of a step gives back.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What a handler returns: a value, or an error that says whether another try makes sense.
///
/// ```
/// use serde_json::json;
/// use tasker_types::{StepExecutionResult, error_types};
///
/// let step = uuid::Uuid::now_v7();
/// let done = StepExecutionResult::success(step, json!({ "count": 42 }), None);
/// assert!(done.success);
/// let failed = StepExecutionResult::failure(step, "gateway timeout", error_types::TIMEOUT, true).with_error_code("GATEWAY_TIMEOUT");
/// assert_eq!(failed.error_code(), Some("GATEWAY_TIMEOUT"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepExecutionResult {
    /// The public UUID of the step.
    pub step_uuid: Uuid,
    /// Whether the step did what it should.
    pub success: bool,
    /// The value that dependants read; `null` for a failure.
    pub result: Value,
    /// What went wrong; `None` for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Times, the error's class, and what the handler adds.
    #[serde(default)]
    pub metadata: StepExecutionMetadata,
}

/// What is known about an attempt beside its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepExecutionMetadata {
    /// How long the handler ran, in milliseconds, as the handler itself measured it.
    #[serde(default)]
    pub execution_time_ms: i64,
    /// The class of the error: one of [`error_types`](crate::error_types), or the handler's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// A stable code of the error, in the application's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Whether another try makes sense.
    #[serde(default)]
    pub retryable: bool,
    /// The shortest delay before another try, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What the handler adds.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub custom: HashMap<String, Value>,
}

impl StepExecutionResult {
    /// The step did what it should; dependants read `result`.
    #[must_use]
    pub fn success(step_uuid: Uuid, result: Value, metadata: Option<HashMap<String, Value>>) -> Self {
        Self {
            step_uuid,
            success: true,
            result,
            error_message: None,
            metadata: StepExecutionMetadata {
                custom: metadata.unwrap_or_default(),
                ..StepExecutionMetadata::default()
            },
        }
    }

    /// The step failed; `error_type` is best one of [`error_types`](crate::error_types).
    #[must_use]
    pub fn failure(
        step_uuid: Uuid,
        message: impl Into<String>,
        error_type: impl Into<String>,
        retryable: bool,
    ) -> Self {
        Self {
            step_uuid,
            success: false,
            result: Value::Null,
            error_message: Some(message.into()),
            metadata: StepExecutionMetadata {
                error_type: Some(error_type.into()),
                retryable,
                ..StepExecutionMetadata::default()
            },
        }
    }

    /// Sets the error's code.
    #[must_use]
    pub fn with_error_code(mut self, code: impl Into<String>) -> Self {
        self.metadata.error_code = Some(code.into());
        self
    }

    /// Sets the error's type.
    #[must_use]
    pub fn with_error_type(mut self, error_type: impl Into<String>) -> Self {
        self.metadata.error_type = Some(error_type.into());
        self
    }

    /// Asks for at least this delay before the next try. It is capped by the step's `max_backoff_ms`.
    #[must_use]
    pub fn with_retry_after(mut self, delay: std::time::Duration) -> Self {
        self.metadata.retry_after_ms = Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The error's code.
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        self.metadata.error_code.as_deref()
    }

    /// The error's type.
    #[must_use]
    pub fn error_type(&self) -> Option<&str> {
        self.metadata.error_type.as_deref()
    }
}

/// A success with the time that the handler measured, in milliseconds.
#[must_use]
pub fn success_result(
    step_uuid: Uuid,
    result: Value,
    execution_time_ms: i64,
    metadata: Option<HashMap<String, Value>>,
) -> StepExecutionResult {
    let mut success = StepExecutionResult::success(step_uuid, result, metadata);
    success.metadata.execution_time_ms = execution_time_ms;
    success
}

/// A failure with everything that can be said of it; the time is in milliseconds.
///
/// Without an `error_type` it is `retryable_error` or `permanent_error`, as `retryable` says.
#[must_use]
pub fn error_result(
    step_uuid: Uuid,
    message: String,
    error_code: Option<String>,
    error_type: Option<String>,
    retryable: bool,
    execution_time_ms: i64,
    context: Option<HashMap<String, Value>>,
) -> StepExecutionResult {
    let default_type =
        if retryable { crate::error_types::RETRYABLE_ERROR } else { crate::error_types::PERMANENT_ERROR };
    let mut failure = StepExecutionResult::failure(
        step_uuid,
        message,
        error_type.unwrap_or_else(|| default_type.to_owned()),
        retryable,
    );
    failure.metadata.error_code = error_code;
    failure.metadata.execution_time_ms = execution_time_ms;
    failure.metadata.custom = context.unwrap_or_default();
    failure
}
