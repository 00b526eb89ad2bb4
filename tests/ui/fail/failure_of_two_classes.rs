use tasker::StepFailure;

#[derive(Debug, thiserror::Error, StepFailure)]
#[error("busy")]
#[step(retryable, permanent)]
struct Busy;

fn main() {}
