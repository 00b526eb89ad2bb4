//! Calls to another service: what is fetched is added up, and what came of it is sent back.
//!
//! The service is in this program, so that the example needs nothing else. It is busy when the report comes: the first time it
//! answers 503 with `Retry-After: 1`, so `send_report` is tried again a second later, under the same idempotency key.
//!
//! `cargo run --features http --example api_pipeline -- run api_pipeline -i @examples/api_pipeline/input.json --wait`

mod handlers;
mod service;

use std::process::ExitCode;

use tasker::ApiHandler;

fn main() -> anyhow::Result<ExitCode> {
    let api = ApiHandler::new(service::start()?)?;
    Ok(tasker::app().state(api).template("api_pipeline.yaml", include_str!("templates/api_pipeline.yaml")).run())
}
