//! Why a call did not give what it should, and whether another try makes sense.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use tasker_types::{StepError, StepExecutionResult, error_types};
use uuid::Uuid;

use super::ApiHandler;
use super::address::shown;
use crate::handler::StepFailure;

/// Why a call did not give what it should.
///
/// `?` in a handler that returns `Result<_, StepError>`, `Result<_, ApiError>` or `anyhow::Result<_>` makes it the failure of the
/// step, with its class, code and delay; [`into_result`](Self::into_result) does so in a handler that returns results.
/// Neither the text nor the context of that failure has a user, a password, a query, a header's value or a body in it.
#[derive(Clone)]
pub struct ApiError(Box<Fields>);

#[derive(Clone)]
struct Fields {
    kind: ApiErrorKind,
    failure: StepError,
    body: Vec<u8>,
}

/// What can go wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// The address, a path, a header or another setting cannot be used, or the client cannot be made. Nothing was sent. Code
    /// `HTTP_SETTINGS`, a `handler_error`, not tried again.
    Settings,
    /// The body cannot be written as JSON. Nothing was sent. Code `HTTP_BODY_NOT_SERIALIZABLE`, a `handler_error`, not tried again.
    NotSerializable,
    /// This attempt has sent another request under the same idempotency key: give each write of a step a
    /// [`part`](ApiHandler::part) of its own. Nothing was sent. Code `HTTP_KEY_TAKEN`, a `handler_error`, not tried again.
    KeyTaken,
    /// There is no connection: nobody listens, the name or the certificate is unknown. Nothing was sent. Code `HTTP_CONNECT`, tried again.
    Connect,
    /// It took longer than it may, to connect or in all. What was asked may have been done. Code `HTTP_TIMEOUT`, a `timeout`, tried again.
    Timeout,
    /// The connection was lost before there was an answer. What was asked may have been done. Code `HTTP_CONNECTION_LOST`, tried again.
    Lost,
    /// The service answered with a status that is no success. Code `HTTP_503` and so on; classified by
    /// [`ApiHandler::classify_error`], tried again by [`ApiHandler::is_retryable`].
    Status(StatusCode),
    /// The body ended before it was complete. Code `HTTP_BODY_INCOMPLETE`, tried again.
    Incomplete,
    /// The body is larger than it may be; it was not read to its end. Code `HTTP_BODY_TOO_LARGE`, not tried again.
    TooLarge,
    /// The body is not JSON. Code `HTTP_BODY_NOT_JSON`, not tried again.
    NotJson,
    /// The body is JSON of another shape than was asked for. Code `HTTP_BODY_MISMATCH`, not tried again.
    Mismatch,
}

impl ApiErrorKind {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Settings => "HTTP_SETTINGS".to_owned(),
            Self::NotSerializable => "HTTP_BODY_NOT_SERIALIZABLE".to_owned(),
            Self::KeyTaken => "HTTP_KEY_TAKEN".to_owned(),
            Self::Connect => "HTTP_CONNECT".to_owned(),
            Self::Timeout => "HTTP_TIMEOUT".to_owned(),
            Self::Lost => "HTTP_CONNECTION_LOST".to_owned(),
            Self::Status(status) => format!("HTTP_{}", status.as_u16()),
            Self::Incomplete => "HTTP_BODY_INCOMPLETE".to_owned(),
            Self::TooLarge => "HTTP_BODY_TOO_LARGE".to_owned(),
            Self::NotJson => "HTTP_BODY_NOT_JSON".to_owned(),
            Self::Mismatch => "HTTP_BODY_MISMATCH".to_owned(),
        }
    }

    /// The type of the error, one of [`error_types`].
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Settings | Self::NotSerializable | Self::KeyTaken => error_types::HANDLER_ERROR,
            Self::Timeout => error_types::TIMEOUT,
            Self::Connect | Self::Lost | Self::Incomplete => error_types::RETRYABLE_ERROR,
            Self::Status(status) => ApiHandler::classify_error(*status),
            Self::TooLarge | Self::NotJson | Self::Mismatch => error_types::PERMANENT_ERROR,
        }
    }

    /// Whether another try makes sense.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect | Self::Timeout | Self::Lost | Self::Incomplete => true,
            Self::Status(status) => ApiHandler::is_retryable(*status),
            Self::Settings
            | Self::NotSerializable
            | Self::KeyTaken
            | Self::TooLarge
            | Self::NotJson
            | Self::Mismatch => false,
        }
    }
}

impl ApiError {
    /// What went wrong before there was a request.
    pub(super) fn settings(message: impl Into<String>) -> Self {
        Self::new(ApiErrorKind::Settings, message.into())
    }

    /// What went wrong with a call. `what` says more than the kind does.
    pub(super) fn of_call(kind: ApiErrorKind, method: &Method, url: &Url, what: &str) -> Self {
        let url = shown(url);
        let error = Self::new(kind, format!("{method} {url}: {what}"));
        error.with(|failure| failure.with_context("http_method", method.as_str()).with_context("url", url))
    }

    fn new(kind: ApiErrorKind, message: String) -> Self {
        let failure = StepError::permanent(message).with_retryable(kind.is_retryable());
        let failure = failure.with_type(kind.error_type()).with_code(kind.code());
        let error = Self(Box::new(Fields { kind, failure, body: Vec::new() }));
        match error.status() {
            Some(status) => error.with_status(status),
            None => error,
        }
    }

    /// Says which status the answer had.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        self.with(|failure| failure.with_context("status", status.as_u16()))
    }

    pub(super) fn with_retry_after(self, delay: Option<Duration>) -> Self {
        match delay.filter(|_| self.is_retryable()) {
            Some(delay) => self.with(|failure| failure.with_retry_after(delay)),
            None => self,
        }
    }

    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.0.body = body;
        self
    }

    fn with(self, change: impl FnOnce(StepError) -> StepError) -> Self {
        let Fields { kind, failure, body } = *self.0;
        Self(Box::new(Fields { kind, failure: change(failure), body }))
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ApiErrorKind {
        &self.0.kind
    }

    /// The status of the answer, where it is what went wrong.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.0.kind {
            ApiErrorKind::Status(status) => Some(status),
            _ => None,
        }
    }

    /// The stable code of the error, such as `HTTP_503`.
    #[must_use]
    pub fn code(&self) -> &str {
        self.0.failure.code().unwrap_or_default()
    }

    /// The type of the error, one of [`error_types`].
    #[must_use]
    pub fn error_type(&self) -> &str {
        self.0.failure.error_type()
    }

    /// Whether another try makes sense.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.failure.is_retryable()
    }

    /// The delay that the service asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.failure.retry_after()
    }

    /// What the service said with a status that is no success, as a `T`: `None` where it is not JSON of that shape, or longer than 64 KiB.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.0.body).ok()
    }

    /// The failure of the step `step_uuid` that this error stands for.
    #[must_use]
    pub fn into_result(self, step_uuid: Uuid) -> StepExecutionResult {
        self.0.failure.into_result(step_uuid)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.failure.fmt(f)
    }
}

impl fmt::Debug for ApiError {
    /// Without the body: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError").field("kind", &self.0.kind).field("failure", &self.0.failure).finish_non_exhaustive()
    }
}

impl Error for ApiError {
    /// The failure that it stands for: an `anyhow::Error` is classified by the first one among its causes.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.failure)
    }
}

impl From<ApiError> for StepError {
    fn from(error: ApiError) -> Self {
        error.0.failure
    }
}

impl StepFailure for ApiError {
    fn into_step_error(self) -> StepError {
        self.into()
    }
}
