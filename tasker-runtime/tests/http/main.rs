//! Calls to services that do what services do: what each becomes, and what goes over the wire.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod answers;
mod bodies;
mod connections;
mod environment;
mod secrets;
mod server;
mod writes;

use std::time::Duration;

use tasker_runtime::http::{ApiError, ApiHandler, ApiResponse};
use tasker_types::StepError;

use self::server::{Does, Service};

/// The answer of a service that does this, to a GET.
async fn get(does: Does) -> Result<ApiResponse, ApiError> {
    let service = Service::start([does]);
    ApiHandler::new(service.url()).unwrap().get("/").await
}

/// The error of a service that does this, to a GET of JSON.
#[track_caller]
fn error(answer: Result<ApiResponse, ApiError>) -> ApiError {
    let json = answer.and_then(|answer| answer.json::<serde_json::Value>());
    json.expect_err("it is an error")
}

/// Its code, type, whether it is tried again, and the delay asked for.
fn class(error: &ApiError) -> (&str, &str, bool, Option<Duration>) {
    let failure = StepError::from(error.clone());
    assert_eq!((failure.code(), failure.error_type()), (Some(error.code()), error.error_type()));
    assert_eq!((failure.is_retryable(), failure.retry_after()), (error.is_retryable(), error.retry_after()));
    (error.code(), error.error_type(), error.is_retryable(), error.retry_after())
}
