//! Errors of every kind.

use std::error::Error;

use anyhow::{Context, bail};
use tasker::{Classify, StepError, StepFailure, step_handler};

#[derive(Debug, thiserror::Error, StepFailure)]
#[step(retryable)]
enum Gateway<E: Error + 'static> {
    #[error("busy")]
    Busy,
    #[error("refused")]
    #[step(permanent, code = "REFUSED", error_type = "validation_error")]
    Refused { reason: u8 },
    #[error(transparent)]
    #[step(transparent)]
    Inner(#[from] StepError),
    #[error("other")]
    Other(#[source] E),
}

#[derive(Debug, thiserror::Error, StepFailure)]
enum Never {}

#[step_handler]
async fn a(#[input] reason: u8) -> Result<u8, Gateway<std::io::Error>> {
    match reason {
        0 => Err(Gateway::Busy),
        1 => Err(Gateway::Refused { reason }),
        2 => Err(StepError::permanent("inner").into()),
        3 => Err(Gateway::Other(std::io::Error::other("disk"))),
        reason => Ok(reason),
    }
}

#[step_handler]
async fn b() -> anyhow::Result<u8> {
    let number: u8 = "1".parse().permanent()?;
    let number: u8 = number.to_string().parse().retryable().context("again")?;
    if number == 0 {
        bail!(StepError::permanent("zero"));
    }
    Ok(number)
}

#[step_handler]
async fn c() -> Result<u8, Box<dyn Error>> {
    Ok("1".parse()?)
}

#[step_handler]
async fn d() -> Result<u8, Box<dyn Error + Send + Sync>> {
    Ok("1".parse()?)
}

#[step_handler]
async fn e() -> Result<(), Never> {
    Ok(())
}

fn main() {}
