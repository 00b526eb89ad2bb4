//! Calls to other services over HTTP: every answer is classified, every write carries the step's key.

mod address;
mod api;
mod builder;
mod client;
mod error;
mod response;
mod retry_after;

pub use api::ApiHandler;
pub use builder::ApiBuilder;
pub use error::{ApiError, ApiErrorKind};
pub use reqwest::StatusCode;
pub use response::ApiResponse;
