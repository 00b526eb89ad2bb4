use tasker::StepFailure;

#[derive(Debug, thiserror::Error, StepFailure)]
enum OrderError {
    #[error("empty")]
    Empty,
    #[error("busy")]
    #[step(retryable)]
    Busy,
}

fn main() {}
