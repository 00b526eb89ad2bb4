//! What a batchable step cut its work into: from its result to the workers that are to be made.

use serde_json::Value;
use tasker_types::template::limits::MAX_TASK_STEPS;
use tasker_types::{BatchProcessingOutcome, StepNumber};

use super::{Pinned, Workers};

/// The workers that the result of the batchable step `number` asks for; `None` where it makes no batches.
///
/// # Errors
/// The result does not say so, names a step that is no worker of this one, or asks for more than a task can have.
pub fn cut(pinned: &Pinned, number: StepNumber, result: &Value) -> Result<Option<Workers>, String> {
    let BatchProcessingOutcome::CreateBatches { worker_template_name, worker_count, cursor_configs, .. } =
        BatchProcessingOutcome::of_result(result)?
    else {
        return Ok(None);
    };
    let is_worker = |of: &StepNumber| {
        of.index() < pinned.steps.len() && pinned.step(*of).is_batch_worker() && pinned.parents(*of).contains(&number)
    };
    let Some(of) = pinned.number(&worker_template_name).filter(is_worker) else {
        let name = &pinned.step(number).name;
        return Err(format!("`{worker_template_name}` is no `batch_worker` that depends on `{name}`"));
    };
    if cursor_configs.len() != worker_count as usize {
        return Err(format!("there are to be {worker_count} workers, but {} cursors are given", cursor_configs.len()));
    }
    if pinned.steps.len() + cursor_configs.len() > MAX_TASK_STEPS {
        return Err(format!(
            "with {worker_count} workers the task has more than {MAX_TASK_STEPS} steps; make larger batches"
        ));
    }
    Ok((worker_count > 0).then_some(Workers { of, count: worker_count }))
}
