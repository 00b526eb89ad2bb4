use tasker::StepFailure;

#[derive(Debug, thiserror::Error, StepFailure)]
enum OrderError {
    #[error("busy")]
    #[step(retriable)]
    Busy,
    #[error("gone")]
    #[step(permanent, kode = "GONE")]
    Gone,
}

fn main() {}
