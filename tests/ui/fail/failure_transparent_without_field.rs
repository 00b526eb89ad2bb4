use tasker::StepFailure;

#[derive(Debug, thiserror::Error, StepFailure)]
#[error("busy")]
#[step(transparent)]
struct Busy;

fn main() {}
