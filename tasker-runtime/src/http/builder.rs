//! What can be set of an [`ApiHandler`].

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tasker_types::DataError;

use super::address::Address;
use super::api::{ApiHandler, Service};
use super::client::{Limits, client};
use super::error::ApiError;
use crate::handler::StepHandlerConfig;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
/// What the result of a step may have, too.
const RESPONSE_MAX_BYTES: usize = 1024 * 1024;

/// Everything that can be set of an [`ApiHandler`].
///
/// ```
/// use std::time::Duration;
/// use tasker_runtime::http::ApiHandler;
///
/// let token = std::env::var("PAY_TOKEN").unwrap_or_default();
/// let api = ApiHandler::builder("https://pay.example/v1")
///     .bearer(token)
///     .header("x-tenant", "shop-7")
///     .timeout(Duration::from_secs(10))
///     .build();
/// # drop(api); // A machine without certificates refuses.
/// ```
#[must_use]
pub struct ApiBuilder {
    base_url: String,
    limits: Limits,
    response_max_bytes: usize,
    headers: HeaderMap,
    /// What was set and cannot be: told by `build`.
    wrong: Option<String>,
}

impl ApiBuilder {
    /// For the service at `base_url`.
    pub fn new(base_url: impl AsRef<str>) -> Self {
        Self {
            base_url: base_url.as_ref().to_owned(),
            limits: Limits { connect_timeout: CONNECT_TIMEOUT, timeout: TIMEOUT },
            response_max_bytes: RESPONSE_MAX_BYTES,
            headers: HeaderMap::new(),
            wrong: None,
        }
    }

    /// For the service that a template's `initialization` names; see [`ApiHandler::from_config`]. A secret does not belong there:
    /// templates are stored and shown.
    ///
    /// # Errors
    /// There is no `base_url`, or one of the keys has another shape.
    pub fn from_config(config: &StepHandlerConfig) -> Result<Self, ApiError> {
        let refused = |error: DataError| ApiError::settings(error.to_string());
        let base_url: String = config.get("base_url").map_err(refused)?;
        let mut builder = Self::new(base_url);
        let seconds = |key| config.get::<Option<u64>>(key).map(|set| set.map(Duration::from_secs)).map_err(refused);
        builder.limits.timeout = seconds("timeout_seconds")?.unwrap_or(TIMEOUT);
        builder.limits.connect_timeout = seconds("connect_timeout_seconds")?.unwrap_or(CONNECT_TIMEOUT);
        let bytes = config.get::<Option<usize>>("response_max_bytes").map_err(refused)?;
        builder.response_max_bytes = bytes.unwrap_or(RESPONSE_MAX_BYTES);
        Ok(builder)
    }

    /// The longest time from the call to the end of the answer's body: 30 s, if nothing else is set. The step's own time limit
    /// is another one, and should be longer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// The longest time until there is a connection: 5 s, if nothing else is set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// The most bytes that the body of an answer may have: 1 MiB, if nothing else is set.
    pub fn response_max_bytes(mut self, bytes: usize) -> Self {
        self.response_max_bytes = bytes;
        self
    }

    /// Sends `Authorization: Bearer ..` with every request.
    pub fn bearer(self, token: impl AsRef<str>) -> Self {
        self.header(AUTHORIZATION.as_str(), format!("Bearer {}", token.as_ref()))
    }

    /// Sends a header with every request. Its value is never shown.
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let value = HeaderValue::try_from(value.as_ref());
        match (HeaderName::try_from(name), value) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                self.headers.insert(name, value);
            }
            (Err(_), _) => self.wrong = Some(format!("`{}` is no name of a header", name.escape_debug())),
            (_, Err(_)) => self.wrong = Some(format!("the header `{name}` has a character that no header may have")),
        }
        self
    }

    /// Makes the handler.
    ///
    /// # Errors
    /// What was set cannot be, or the certificates of this machine cannot be read.
    pub fn build(self) -> Result<ApiHandler, ApiError> {
        if let Some(wrong) = self.wrong {
            return Err(ApiError::settings(wrong));
        }
        let address = Address::parse(&self.base_url);
        let address = address.map_err(|reason| ApiError::settings(format!("`base_url` cannot be used: {reason}")))?;
        let client = client(&address, &self.limits, self.headers).map_err(|reason| {
            ApiError::settings(format!("there can be no client for {}: {reason}", address.shown()))
        })?;
        Ok(ApiHandler::of(Service { client, address, body_max_bytes: self.response_max_bytes }))
    }
}
