use tasker::StepFailure;

#[derive(StepFailure)]
#[step(retryable)]
struct Busy;

fn main() {}
