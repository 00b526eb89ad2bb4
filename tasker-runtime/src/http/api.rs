//! What handlers call other services with.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Serialize;
use tasker_types::{StepError, error_types};

use super::address::Address;
use super::builder::ApiBuilder;
use super::error::{ApiError, ApiErrorKind};
use super::response::{ApiResponse, read_within};
use super::retry_after;
use crate::handler::{StepContext, StepHandlerConfig, Writes};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The header under which a service finds out that it was asked the same before.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The most that is read of what a service says with an error.
const ERROR_BODY_MAX_BYTES: usize = 64 * 1024;

/// Calls a service that speaks JSON over HTTP, for handlers. It is cheap to clone; clones share their connections.
///
/// An answer that is no success is an [`ApiError`], classified: 408, 429 and 5xx are tried again by the step's policy, after the
/// delay of `Retry-After` where the service asks for one, all else is not. Every request but a GET carries the header
/// `Idempotency-Key` with the step's [`idempotency_key`](StepContext::idempotency_key), the same at every attempt.
///
/// It is made once, and shared as state, or held by a handler that is made of its template's `initialization`:
///
/// ```
/// use serde::Deserialize;
/// use serde_json::json;
/// use tasker_runtime::handler::StepHandlerConfig;
/// use tasker_runtime::http::{ApiError, ApiHandler};
/// use tasker_types::StepError;
///
/// #[derive(Deserialize)]
/// struct Receipt {
///     id: String,
/// }
///
/// // `#[state] api: &ApiHandler` after `tasker::app().state(ApiHandler::new("https://pay.example")?)`
/// async fn charge(api: &ApiHandler, cents: u64) -> Result<Receipt, StepError> {
///     Ok(api.post("/charges", &json!({ "cents": cents })).await?.json()?)
/// }
///
/// // `initialization: { base_url: "https://pay.example/v1", timeout_seconds: 10 }`
/// struct Refund {
///     api: ApiHandler,
/// }
///
/// impl Refund {
///     fn new(config: &StepHandlerConfig) -> Result<Self, ApiError> {
///         Ok(Self { api: ApiHandler::from_config(config)? })
///     }
///
///     /// A charge that is not there is no error here.
///     async fn call(&self, charge: &str) -> Result<Option<Receipt>, ApiError> {
///         match self.api.delete(&format!("/charges/{charge}")).await {
///             Err(error) if error.status().is_some_and(|status| status == 404) => Ok(None),
///             answer => answer?.json(),
///         }
///     }
/// }
/// ```
///
/// It follows no redirects. A path is only ever put below the address, whatever stands in it. In a `TestApp` time is virtual, and
/// a call to a real service is over its time limit before there is an answer: mock the handler there.
///
/// A step that makes more than one write gives each a [`part`](Self::part): one key for two requests would let the service answer
/// the second with what it said to the first, so the second is refused.
#[derive(Clone)]
pub struct ApiHandler {
    service: Arc<Service>,
    /// The attempt that all calls belong to; without one, it is that of the current task.
    writes: Option<Arc<Writes>>,
    part: Option<Arc<str>>,
}

pub(super) struct Service {
    pub(super) client: Client,
    pub(super) address: Address,
    pub(super) body_max_bytes: usize,
}

impl ApiHandler {
    /// Calls the service at `base_url`, with the limits of an [`ApiBuilder`].
    ///
    /// # Errors
    /// It is no `http://` or `https://` address, or the certificates of this machine cannot be read.
    pub fn new(base_url: impl AsRef<str>) -> Result<Self, ApiError> {
        ApiBuilder::new(base_url).build()
    }

    /// The same, with everything that can be set.
    pub fn builder(base_url: impl AsRef<str>) -> ApiBuilder {
        ApiBuilder::new(base_url)
    }

    /// Calls the service that a template's `initialization` names: `base_url`, and where they are there `timeout_seconds`,
    /// `connect_timeout_seconds` and `response_max_bytes`.
    ///
    /// # Errors
    /// There is no `base_url`, or one of them cannot be used.
    pub fn from_config(config: &StepHandlerConfig) -> Result<Self, ApiError> {
        ApiBuilder::from_config(config)?.build()
    }

    pub(super) fn of(service: Service) -> Self {
        Self { service: Arc::new(service), writes: None, part: None }
    }

    /// The same, for one of several writes of a step: the key is the step's with `part` behind it.
    ///
    /// `part` names the write, and is the same at every attempt: `mail`, or the number of an item, never a random text.
    #[must_use]
    pub fn part(&self, part: impl fmt::Display) -> Self {
        Self { part: Some(part.to_string().into()), ..self.clone() }
    }

    /// The same, for calls that are made elsewhere than in the handler's own task: in one that it spawns, or on a thread that may
    /// block. Calls in the handler itself know their attempt without it; elsewhere, without it, a write has no key.
    #[must_use]
    pub fn for_step(&self, ctx: StepContext<'_>) -> Self {
        Self { writes: Some(Arc::new(Writes::of(ctx))), ..self.clone() }
    }

    /// The address of the service, without user and password.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.service.address.shown()
    }

    /// Reads what is at `path`, which may have a query.
    ///
    /// # Errors
    /// See [`ApiErrorKind`].
    pub async fn get(&self, path: &str) -> Result<ApiResponse, ApiError> {
        self.call(Method::GET, path, None).await
    }

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// See [`ApiErrorKind`].
    pub async fn post<T: Serialize + ?Sized>(&self, path: &str, body: &T) -> Result<ApiResponse, ApiError> {
        self.call(Method::POST, path, Some(serde_json::to_vec(body))).await
    }

    /// Puts `body` at `path`.
    ///
    /// # Errors
    /// See [`ApiErrorKind`].
    pub async fn put<T: Serialize + ?Sized>(&self, path: &str, body: &T) -> Result<ApiResponse, ApiError> {
        self.call(Method::PUT, path, Some(serde_json::to_vec(body))).await
    }

    /// Changes what is at `path` as `body` says.
    ///
    /// # Errors
    /// See [`ApiErrorKind`].
    pub async fn patch<T: Serialize + ?Sized>(&self, path: &str, body: &T) -> Result<ApiResponse, ApiError> {
        self.call(Method::PATCH, path, Some(serde_json::to_vec(body))).await
    }

    /// Deletes what is at `path`.
    ///
    /// # Errors
    /// See [`ApiErrorKind`].
    pub async fn delete(&self, path: &str) -> Result<ApiResponse, ApiError> {
        self.call(Method::DELETE, path, None).await
    }

    /// The type of the error that a status stands for: `retryable_error` where [`is_retryable`](Self::is_retryable) says so,
    /// `permanent_error` for the other 4xx, and `handler_error` for what nobody should have been given.
    ///
    /// ```
    /// use reqwest::StatusCode;
    /// use tasker_runtime::http::ApiHandler;
    ///
    /// assert_eq!(ApiHandler::classify_error(StatusCode::BAD_GATEWAY), "retryable_error");
    /// assert_eq!(ApiHandler::classify_error(StatusCode::TOO_MANY_REQUESTS), "retryable_error");
    /// assert_eq!(ApiHandler::classify_error(StatusCode::NOT_FOUND), "permanent_error");
    /// assert_eq!(ApiHandler::classify_error(StatusCode::FOUND), "handler_error");
    /// ```
    #[must_use]
    pub fn classify_error(status: StatusCode) -> &'static str {
        match status.as_u16() {
            _ if Self::is_retryable(status) => error_types::RETRYABLE_ERROR,
            400..=499 => error_types::PERMANENT_ERROR,
            _ => error_types::HANDLER_ERROR,
        }
    }

    /// Whether a request that got this status is worth another try: 408, 429 and 5xx.
    #[must_use]
    pub fn is_retryable(status: StatusCode) -> bool {
        matches!(status.as_u16(), 408 | 429 | 500..=599)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Result<Vec<u8>>>,
    ) -> Result<ApiResponse, ApiError> {
        let url = self.service.address.at(path).map_err(|reason| {
            ApiError::settings(format!("{method} {}: the path cannot be used: {reason}", self.base_url()))
        })?;
        let body = body.transpose().map_err(|error| {
            ApiError::of_call(ApiErrorKind::NotSerializable, &method, &url, &format!("the body is not JSON: {error}"))
        })?;
        let response = self.send(&method, &url, body).await?;
        let status = response.status();
        tracing::debug!(%method, url = super::address::shown(&url), status = status.as_u16(), "answered");
        if status.is_success() {
            ApiResponse::read(method, url, response, self.service.body_max_bytes).await
        } else {
            Err(refused(&method, &url, response).await)
        }
    }

    async fn send(&self, method: &Method, url: &Url, body: Option<Vec<u8>>) -> Result<Response, ApiError> {
        let mut request = self.service.client.request(method.clone(), url.clone()).header(ACCEPT, JSON);
        if let Some(key) = self.idempotency_key(method, url, body.as_deref())? {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, JSON).body(body);
        }
        request.send().await.map_err(|error| not_sent(method, url, error))
    }

    /// The key of a write: `None` for a GET, and outside an attempt.
    fn idempotency_key(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&[u8]>,
    ) -> Result<Option<HeaderValue>, ApiError> {
        if method == Method::GET {
            return Ok(None);
        }
        let Some(writes) = self.writes.clone().or_else(Writes::current) else { return Ok(None) };
        let request = [method.as_str().as_bytes(), url.as_str().as_bytes(), body.unwrap_or_default()];
        let key = writes.key(self.part.as_deref(), &request).map_err(|_| {
            let what = "this attempt has sent another request under the same idempotency key: \
                        give each write of a step a name, as in `api.part(\"mail\").post(..)`";
            ApiError::of_call(ApiErrorKind::KeyTaken, method, url, what)
        })?;
        let value = HeaderValue::try_from(key).map_err(|_| {
            ApiError::of_call(ApiErrorKind::Settings, method, url, "the `part` has a character that no header may have")
        })?;
        Ok(Some(value))
    }
}

impl fmt::Debug for ApiHandler {
    /// Without headers: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiHandler")
            .field("base_url", &self.base_url())
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

/// What an answer that is no success stands for.
#[cold]
async fn refused(method: &Method, url: &Url, response: Response) -> ApiError {
    let (status, headers) = (response.status(), response.headers());
    let delay = retry_after::delay(headers, SystemTime::now());
    let location = headers.get(LOCATION).filter(|_| status.is_redirection());
    let what = match location.and_then(|location| Address::shown_location(url, location)) {
        Some(location) => format!("{status}: it is at {location}; redirects are not followed, so set that address"),
        None => status.to_string(),
    };
    let error = ApiError::of_call(ApiErrorKind::Status(status), method, url, &what).with_retry_after(delay);
    // The status is what counts: a body that is broken or too large is left out.
    error.with_body(read_within(response, ERROR_BODY_MAX_BYTES).await.unwrap_or_default())
}

/// What a request without an answer stands for.
#[cold]
fn not_sent(method: &Method, url: &Url, error: reqwest::Error) -> ApiError {
    let (is_timeout, is_connect, is_builder) = (error.is_timeout(), error.is_connect(), error.is_builder());
    // Its own text has the whole URL.
    let reason = StepError::chain(&error.without_url());
    let (kind, what) = match (is_timeout, is_connect) {
        _ if is_builder => (ApiErrorKind::Settings, format!("it cannot be sent: {reason}")),
        (true, true) => (ApiErrorKind::Timeout, "no connection in time".to_owned()),
        (true, false) => (ApiErrorKind::Timeout, "no answer in time".to_owned()),
        (false, true) => (ApiErrorKind::Connect, format!("no connection: {reason}")),
        (false, false) => (ApiErrorKind::Lost, format!("the connection was lost: {reason}")),
    };
    ApiError::of_call(kind, method, url, &what)
}
