//! The worker of a batch as an older engine's guide shows it: a context out of the step's data, and positions to go through. What the
//! guide does not show is that it saves how far it came: after a crash the rest is counted, and nothing twice. Nor does it show what
//! goes wrong: each failure has one of the standard types, and a code of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tasker::{
    BatchWorkerContext, StepContext, StepExecutionResult, TaskSequenceStep, error_types, step_handler, success_result,
};

use super::handlers::Written;
use super::products::{self, Counted};

/// How many products are counted between two checkpoints.
pub(crate) const PORTION: u64 = 50;

/// How far a worker has come: the first position that it did not count, and what it found before that.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    last_cursor: u64,
    #[serde(flatten)]
    counted: Counted,
}

/// Counts the products of one batch.
#[step_handler(blocking)]
pub(crate) async fn process_batch(step_data: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
    let started = Instant::now();
    let step_uuid = step_data.workflow_step.workflow_step_uuid;

    // Extract batch context from step data
    let context = BatchWorkerContext::from_step_data(step_data)?;

    // Check for no-op scenario
    if context.is_no_op() {
        return Ok(success_result(step_uuid, json!({ "no_op": true }), 0, None));
    }

    // Begin where an earlier attempt left off, if one did
    let start = context.start_position();
    let end = context.end_position();
    let saved: Option<Progress> = step_data.last_checkpoint()?;
    let mut progress = saved.filter(|_| context.is_resumed()).unwrap_or_default();

    let file: Written = step_data.get_dependency_result_column_value("write_products")?;
    let rows = match products::rows(Path::new(&file.path)) {
        Ok(rows) => rows,
        // What is away may be back: a plain `Err` of this form would be final.
        Err(error) => {
            let message = format!("{}: {error}", file.path);
            return Ok(StepExecutionResult::failure(step_uuid, message, error_types::RETRYABLE_ERROR, true)
                .with_error_code("FILE_UNREADABLE"));
        }
    };
    if (rows.len() as u64) < end {
        let message = format!("{} has {} products: it was cut when there were {end} or more", file.path, rows.len());
        return Ok(StepExecutionResult::failure(step_uuid, message, error_types::PERMANENT_ERROR, false)
            .with_error_code("FILE_CHANGED"));
    }
    let journal: Option<String> = step_data.get_input("journal")?;
    for from in (start..end).step_by(PORTION as usize) {
        std::thread::sleep(Duration::from_millis(step_data.get_input_or("pace_ms", 0)));
        progress.last_cursor = end.min(from + PORTION);
        for position in from..progress.last_cursor {
            // Process item at position
            progress.counted.add(rows.get(position as usize).map_or("", String::as_str));
        }
        if let Some(journal) = &journal {
            products::note(Path::new(journal), from..progress.last_cursor)?;
        }
        StepContext::new(step_data).checkpoint(&progress).await?;
    }

    let first = context.cursor().map_or(Value::Null, |cursor| cursor.start_cursor.clone());
    Ok(success_result(
        step_uuid,
        json!({
            "batch_id": context.batch_id(),
            "items_processed": progress.counted.items_processed,
            "items_succeeded": progress.counted.items_succeeded,
            "items_failed": progress.counted.items_failed,
            "value_cents": progress.counted.value_cents,
            "start_cursor": first,
            "end_cursor": end,
            "batch_size": end - first.as_u64().unwrap_or(start),
            "last_cursor": end,
        }),
        started.elapsed().as_millis() as i64,
        None,
    ))
}
