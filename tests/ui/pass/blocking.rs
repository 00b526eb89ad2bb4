//! What computes or blocks is a plain function; an async one may still await, and need not be `Send`.

use std::rc::Rc;

use tasker::{StepContext, TaskSequenceStep, step_handler};

#[step_handler(blocking)]
fn compress(#[input] bytes: &[u8], #[state] pool: &String, ctx: StepContext<'_>) -> Result<usize, tasker::StepError> {
    if ctx.is_cancelled() {
        return Err(tasker::StepError::retryable(pool.clone()));
    }
    Ok(bytes.len())
}

#[step_handler(blocking)]
async fn render(step: &TaskSequenceStep) -> usize {
    let shared = Rc::new(step.task.name.len());
    tokio::task::yield_now().await;
    *shared
}

fn main() {}
