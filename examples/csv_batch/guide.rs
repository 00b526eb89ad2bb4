//! The worker of a batch as an older engine's guide shows it: a context out of the step's data, and positions to go through.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tasker::{BatchWorkerContext, StepExecutionResult, TaskSequenceStep, step_handler, success_result};

use super::handlers::Written;
use super::products::{self, Counted};

/// Counts the products of one batch.
#[step_handler(blocking)]
pub(crate) fn process_batch(step_data: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
    let started = Instant::now();
    let step_uuid = step_data.workflow_step.workflow_step_uuid;

    // Extract batch context from step data
    let context = BatchWorkerContext::from_step_data(step_data)?;

    // Check for no-op scenario
    if context.is_no_op() {
        return Ok(success_result(step_uuid, json!({ "no_op": true }), 0, None));
    }

    // Process items in the batch
    let start = context.start_position();
    let end = context.end_position();
    std::thread::sleep(Duration::from_millis(step_data.get_input_or("pace_ms", 0)));

    let file: Written = step_data.get_dependency_result_column_value("write_products")?;
    let rows = products::rows(Path::new(&file.path))?;
    let mut counted = Counted::default();
    for position in start..end {
        // Process item at position
        counted.add(rows.get(position as usize).map_or("", String::as_str));
    }

    Ok(success_result(
        step_uuid,
        json!({
            "batch_id": context.batch_id(),
            "items_processed": counted.items_processed,
            "items_succeeded": counted.items_succeeded,
            "items_failed": counted.items_failed,
            "value_cents": counted.value_cents,
            "start_cursor": start,
            "end_cursor": end,
            "batch_size": end - start,
            "last_cursor": end,
        }),
        started.elapsed().as_millis() as i64,
        None,
    ))
}
