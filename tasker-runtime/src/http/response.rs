//! An answer, its body read to the end within a limit.

use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tasker_types::StepError;
use tasker_types::decode::decode;

use super::address::shown;
use super::error::{ApiError, ApiErrorKind};

/// The answer of a service that says success, its body read to the end.
pub struct ApiResponse {
    method: Method,
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl ApiResponse {
    /// Reads the body of `response`, at most `body_max_bytes` of it.
    pub(super) async fn read(
        method: Method,
        url: Url,
        response: Response,
        body_max_bytes: usize,
    ) -> Result<Self, ApiError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match read_within(response, body_max_bytes).await {
            Ok(body) => body,
            Err(unread) => return Err(unread.into_error(&method, &url, body_max_bytes).with_status(status)),
        };
        Ok(Self { method, url, status, headers, body })
    }

    /// The status: one of 200 to 299.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header of the answer, where it is there once or more, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as a `T`. An answer without a body, such as a 204, reads as `null`: `()`, `Option<T>` and `Value` can be made of it.
    ///
    /// # Errors
    /// [`ApiErrorKind::NotJson`], [`ApiErrorKind::Incomplete`] where it ends in the middle, [`ApiErrorKind::Mismatch`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let value = if self.body.iter().all(u8::is_ascii_whitespace) {
            Value::Null
        } else {
            serde_json::from_slice(&self.body).map_err(|error| self.not_json(&error))?
        };
        decode(&value).map_err(|wrong| {
            let what = format!("the body does not fit: {}", without_content(&wrong.located()));
            self.error(ApiErrorKind::Mismatch, &what)
        })
    }

    #[cold]
    fn not_json(&self, error: &serde_json::Error) -> ApiError {
        if error.is_eof() {
            self.error(ApiErrorKind::Incomplete, &format!("the body ends in the middle: {error}"))
        } else {
            self.error(ApiErrorKind::NotJson, &format!("the body is not JSON: {error}"))
        }
    }

    fn error(&self, kind: ApiErrorKind, what: &str) -> ApiError {
        ApiError::of_call(kind, &self.method, &self.url, what).with_status(self.status)
    }
}

impl fmt::Debug for ApiResponse {
    /// Without headers and body: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiResponse")
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why a body could not be read.
pub(super) enum Unread {
    TooLarge,
    Broken(reqwest::Error),
}

impl Unread {
    fn into_error(self, method: &Method, url: &Url, body_max_bytes: usize) -> ApiError {
        match self {
            Self::TooLarge => {
                let what = format!("the body has more than {body_max_bytes} bytes");
                ApiError::of_call(ApiErrorKind::TooLarge, method, url, &what)
            }
            Self::Broken(error) if error.is_timeout() => {
                ApiError::of_call(ApiErrorKind::Timeout, method, url, "the body was not complete in time")
            }
            Self::Broken(error) => {
                let what = format!("the body is not complete: {}", StepError::chain(&error.without_url()));
                ApiError::of_call(ApiErrorKind::Incomplete, method, url, &what)
            }
        }
    }
}

/// Reads a body, never more than one piece beyond `max_bytes`, whatever length was announced.
pub(super) async fn read_within(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, Unread> {
    if response.content_length().is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > max_bytes)) {
        return Err(Unread::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + piece.len() > max_bytes {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A reason without the text that it quotes: what another service sends may be a secret.
fn without_content(reason: &str) -> String {
    match (reason.find('"'), reason.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}..{}", &reason[..=first], &reason[last..]),
        _ => reason.to_owned(),
    }
}
