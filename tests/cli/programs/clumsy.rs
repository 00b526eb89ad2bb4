//! A program that things go wrong in: a handler panics, one gives up, one tells at length what it lacks, and two need what the
//! application may not have.

use std::process::ExitCode;

use anyhow::Context as _;
use tasker::{RustStepHandler, StepExecutionResult, StepHandlerConfig, TaskSequenceStep, step_handler};

/// What handlers need.
struct Ledger;

#[step_handler]
async fn stumble() -> i64 {
    panic!("one foot caught the other")
}

#[step_handler]
async fn stand() -> &'static str {
    "still here"
}

#[step_handler(name = "book")]
async fn book_it(#[state] _ledger: &Ledger) -> bool {
    true
}

#[step_handler]
async fn balance(#[state] _ledger: &Ledger, #[state] extra: Option<&Vec<u8>>) -> bool {
    extra.is_none()
}

/// Each function around the one that failed says what it was about.
#[step_handler]
async fn count_stock() -> anyhow::Result<u32> {
    let line = Err(std::io::Error::other("the line is dead"));
    line.context("the warehouse does not answer").context("the stock cannot be counted")
}

/// A plain `Err` of a handler that is written by hand is final.
struct GivesUp;

#[async_trait::async_trait]
impl RustStepHandler for GivesUp {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "give_up"
    }

    async fn call(&self, _: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        anyhow::bail!("there is no way")
    }
}

tasker::register_handler!("give_up", GivesUp);

fn main() -> ExitCode {
    let app = tasker::app()
        .template(
            "stumble.yaml",
            "name: stumble\nsteps: [{ name: stumble, retry: { max_attempts: 2, backoff: none } }, { name: stand }]",
        )
        .template(
            "count.yaml",
            "name: count\nsteps: [{ name: count_stock, retry: { max_attempts: 2, backoff: none } }]",
        )
        .template("give_up.yaml", "name: give_up\nsteps: [{ name: give_up }]")
        .template("book.yaml", "name: book\nsteps: [{ name: book }, { name: balance, dependencies: [book] }]");
    let app = if std::env::var_os("WITHOUT_LEDGER").is_some() { app } else { app.state(Ledger) };
    app.run()
}
