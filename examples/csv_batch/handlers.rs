//! The steps around the worker: the file is written, cut into batches, and what the workers found is added up.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tasker::{
    BatchAggregationScenario, BatchProcessingOutcome, Classify as _, CursorConfig, StepError, TaskSequenceStep,
    step_handler,
};

use super::products::{self, Counted};

/// Where the products are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) path: String,
}

/// How the file is cut.
#[derive(Debug, Serialize)]
pub(crate) struct Analysis {
    batch_processing_outcome: BatchProcessingOutcome,
    total_items: u64,
}

/// What all workers found.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Total {
    worker_count: u32,
    #[serde(flatten)]
    counted: Counted,
    last_cursor: u64,
}

/// Writes the products.
#[step_handler(blocking)]
pub(crate) fn write_products(#[input] path: String, #[input] rows: u64) -> anyhow::Result<Written> {
    products::write(Path::new(&path), rows)?;
    Ok(Written { path })
}

/// Cuts the file into batches; one without products needs none.
#[step_handler(blocking)]
pub(crate) fn analyze_products(
    #[dependency(write_products)] file: Written,
    #[input] batch_size: u32,
) -> anyhow::Result<Analysis> {
    let total_items = products::count(Path::new(&file.path))?;
    if total_items == 0 {
        return Ok(Analysis { batch_processing_outcome: BatchProcessingOutcome::no_batches(), total_items });
    }
    if batch_size == 0 {
        return Err(StepError::permanent("`batch_size` is 0").into());
    }
    let size = u64::from(batch_size);
    let worker_count = u32::try_from(total_items.div_ceil(size)).permanent()?;
    let cursor_configs = (0..worker_count)
        .map(|i| {
            let start = u64::from(i) * size;
            let end = total_items.min(start + size);
            CursorConfig {
                batch_id: format!("{:03}", i + 1),
                start_cursor: json!(start),
                end_cursor: json!(end),
                batch_size: u32::try_from(end - start).unwrap_or(batch_size),
            }
        })
        .collect();
    let outcome =
        BatchProcessingOutcome::create_batches("process_batch".to_owned(), worker_count, cursor_configs, total_items);
    Ok(Analysis { batch_processing_outcome: outcome, total_items })
}

/// One of the workers' results, as far as it counts here.
#[derive(Debug, Deserialize)]
struct Batch {
    #[serde(flatten)]
    counted: Counted,
    last_cursor: u64,
}

/// Adds up what the workers found.
#[step_handler]
pub(crate) async fn total_products(step_data: &TaskSequenceStep) -> anyhow::Result<Total> {
    let scenario =
        BatchAggregationScenario::detect(&step_data.dependency_results, "analyze_products", "process_batch_")?;
    let BatchAggregationScenario::WithBatches { batch_results, worker_count } = scenario else {
        return Ok(Total { worker_count: 0, counted: Counted::default(), last_cursor: 0 });
    };
    let mut total = Total { worker_count, counted: Counted::default(), last_cursor: 0 };
    for (_, found) in batch_results {
        let batch: Batch = serde_json::from_value(found.result.clone()).permanent()?;
        total.counted.items_processed += batch.counted.items_processed;
        total.counted.items_succeeded += batch.counted.items_succeeded;
        total.counted.items_failed += batch.counted.items_failed;
        total.counted.value_cents += batch.counted.value_cents;
        total.last_cursor = total.last_cursor.max(batch.last_cursor);
    }
    Ok(total)
}
