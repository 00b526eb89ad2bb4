//! The standard values of an error's type, shared by all languages.

/// It will fail however often it is tried.
pub const PERMANENT_ERROR: &str = "permanent_error";
/// It may succeed when it is tried again.
pub const RETRYABLE_ERROR: &str = "retryable_error";
/// The input is not what the step needs.
pub const VALIDATION_ERROR: &str = "validation_error";
/// It took longer than it may.
pub const TIMEOUT: &str = "timeout";
/// The handler itself went wrong.
pub const HANDLER_ERROR: &str = "handler_error";

/// All standard values.
pub const ALL: &[&str] = &[PERMANENT_ERROR, RETRYABLE_ERROR, VALIDATION_ERROR, TIMEOUT, HANDLER_ERROR];

/// Whether `error_type` is one of the standard values.
#[must_use]
pub fn is_standard(error_type: &str) -> bool {
    ALL.contains(&error_type)
}

/// Whether an error of this type is worth another try where nothing else says so.
///
/// ```
/// use tasker_types::error_types;
///
/// assert!(error_types::is_typically_retryable(error_types::TIMEOUT));
/// assert!(!error_types::is_typically_retryable(error_types::VALIDATION_ERROR));
/// ```
#[must_use]
pub fn is_typically_retryable(error_type: &str) -> bool {
    matches!(error_type, RETRYABLE_ERROR | TIMEOUT)
}
