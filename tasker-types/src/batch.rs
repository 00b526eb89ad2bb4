//! Batches: how a step cuts its work into pieces, what each piece is given, and how their results are gathered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode::{Mismatch, decode};
use crate::{DataError, DependencyResult, DependencyResults, TaskSequenceStep};

/// The key in a batchable step's result under which it says what is to be done.
const OUTCOME: &str = "batch_processing_outcome";

/// One piece of the work: from `start_cursor` on, up to `end_cursor`, which is not part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CursorConfig {
    /// The piece's own name, such as `001`.
    pub batch_id: String,
    /// Where it begins: a position, or whatever else the handlers agree on.
    pub start_cursor: Value,
    /// Where it ends.
    pub end_cursor: Value,
    /// How many items it has, as far as that is known.
    pub batch_size: u32,
}

/// What a `batchable` step decides: no batches, or one worker step for each cursor.
///
/// ```
/// use serde_json::json;
/// use tasker_types::{BatchProcessingOutcome, CursorConfig};
///
/// let cursors = (0..2).map(|i| CursorConfig {
///     batch_id: format!("{:03}", i + 1),
///     start_cursor: json!(i * 100),
///     end_cursor: json!((i + 1) * 100),
///     batch_size: 100,
/// });
/// let outcome = BatchProcessingOutcome::create_batches("process_batch".to_owned(), 2, cursors.collect(), 200);
/// let result = json!({ "batch_processing_outcome": outcome.to_value(), "total_items": 200 });
/// assert_eq!(BatchProcessingOutcome::of_result(&result), Ok(outcome));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BatchProcessingOutcome {
    /// There is nothing to do, or so little that the step did it itself.
    NoBatches,
    /// One worker step is created for each cursor.
    CreateBatches {
        /// The `batch_worker` step of the template that each worker is made after.
        worker_template_name: String,
        /// How many workers there will be: as many as there are cursors.
        worker_count: u32,
        /// What each of them is given, in their order.
        cursor_configs: Vec<CursorConfig>,
        /// How many items there are in all.
        total_items: u64,
    },
}

impl BatchProcessingOutcome {
    /// There are no batches.
    #[must_use]
    pub fn no_batches() -> Self {
        Self::NoBatches
    }

    /// A worker for each cursor.
    #[must_use]
    pub fn create_batches(
        worker_template_name: String,
        worker_count: u32,
        cursor_configs: Vec<CursorConfig>,
        total_items: u64,
    ) -> Self {
        Self::CreateBatches { worker_template_name, worker_count, cursor_configs, total_items }
    }

    /// The outcome as it stands in a result.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // It holds nothing that JSON cannot hold.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The outcome in the result of a batchable step: under `batch_processing_outcome`, or the result itself.
    ///
    /// # Errors
    /// There is none, or it has another shape: the reason.
    pub fn of_result(result: &Value) -> Result<Self, String> {
        decode(outcome_in(result)).map_err(|wrong| {
            format!("the result of a batchable step says under `{OUTCOME}` what is to be done: {}", wrong.located())
        })
    }
}

impl CursorConfig {
    /// The piece of the worker of this index, counted from 0, in the result of the step that made it. It is looked up and
    /// not read: thousands of workers ask for theirs.
    #[must_use]
    pub fn in_result(result: &Value, index: usize) -> Option<&Value> {
        outcome_in(result).get("cursor_configs")?.get(index)
    }
}

/// The outcome in a result, or the result itself.
fn outcome_in(result: &Value) -> &Value {
    result.get(OUTCOME).unwrap_or(result)
}

/// What one worker of a batch is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchWorkerContext {
    cursor: Option<CursorConfig>,
    /// Where an earlier attempt left off.
    resumed_at: Option<u64>,
}

impl BatchWorkerContext {
    /// The context of a step that runs as a worker of a batch.
    ///
    /// # Errors
    /// The step's inputs are a cursor of another shape.
    pub fn from_step_data(step: &TaskSequenceStep) -> Result<Self, DataError> {
        let inputs = &step.workflow_step.inputs;
        if inputs.get("batch_id").is_none() {
            return Ok(Self { cursor: None, resumed_at: None });
        }
        let bad = |wrong: Mismatch| DataError::BadInput { key: "cursor".to_owned(), reason: wrong.located() };
        let cursor: CursorConfig = decode(inputs).map_err(bad)?;
        let resumed_at = step.workflow_step.checkpoint.as_deref().and_then(|saved| left_off(saved, &cursor));
        Ok(Self { cursor: Some(cursor), resumed_at })
    }

    /// Whether there is nothing to do: the step is no worker of a batch, or its piece is empty.
    #[must_use]
    pub fn is_no_op(&self) -> bool {
        self.cursor.as_ref().is_none_or(|cursor| cursor.batch_size == 0 || cursor.start_cursor == cursor.end_cursor)
    }

    /// Where to begin, where cursors are positions; 0 otherwise. It is where the piece begins, or where an earlier attempt
    /// left off: that saved a checkpoint that is a position of the piece, or has one under `last_cursor`.
    #[must_use]
    pub fn start_position(&self) -> u64 {
        let start = self.cursor.as_ref().and_then(|cursor| cursor.start_cursor.as_u64());
        self.resumed_at.or(start).unwrap_or(0)
    }

    /// Whether an earlier attempt left off within the piece: what is before the start position is done.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.resumed_at.is_some()
    }

    /// Where the piece ends, where cursors are positions; 0 otherwise. This position is not part of it.
    #[must_use]
    pub fn end_position(&self) -> u64 {
        self.cursor.as_ref().and_then(|cursor| cursor.end_cursor.as_u64()).unwrap_or(0)
    }

    /// The piece's own name; empty where there is none.
    #[must_use]
    pub fn batch_id(&self) -> &str {
        self.cursor.as_ref().map_or("", |cursor| cursor.batch_id.as_str())
    }

    /// The piece, where there is one.
    #[must_use]
    pub fn cursor(&self) -> Option<&CursorConfig> {
        self.cursor.as_ref()
    }
}

/// The key of a checkpoint, and of a result, under which a worker of a batch says how far it came: the first position that it
/// did not process.
const LAST_CURSOR: &str = "last_cursor";

/// Where the attempt left off that saved this, if that is a position of the piece.
fn left_off(saved: &Value, cursor: &CursorConfig) -> Option<u64> {
    let at = saved.as_u64().or_else(|| saved.get(LAST_CURSOR)?.as_u64())?;
    (cursor.start_cursor.as_u64()?..=cursor.end_cursor.as_u64()?).contains(&at).then_some(at)
}

/// What an aggregating step finds: the results of the workers, or that there were none.
#[derive(Debug, Clone)]
pub enum BatchAggregationScenario {
    /// The batchable step made no batches.
    NoBatches {
        /// Its result.
        batchable_result: DependencyResult,
    },
    /// There were batches.
    WithBatches {
        /// The workers' results by the names of their steps, in order. A worker that failed and was passed over has none.
        batch_results: Vec<(String, Arc<DependencyResult>)>,
        /// How many results there are.
        worker_count: u32,
    },
}

impl BatchAggregationScenario {
    /// Looks for results whose step's name begins with `prefix`, and for that of the step `batchable`.
    ///
    /// # Errors
    /// There is no result of the step `batchable`.
    pub fn detect(results: &DependencyResults, batchable: &str, prefix: &str) -> Result<Self, DataError> {
        let mut batch_results: Vec<(String, Arc<DependencyResult>)> = results
            .shared()
            .filter(|(name, _)| *name != batchable && name.starts_with(prefix))
            .map(|(name, result)| (name.to_owned(), result.clone()))
            .collect();
        batch_results.sort_by(|(one, _), (other, _)| numbered(one).cmp(&numbered(other)));
        if batch_results.is_empty() {
            let missing = || DataError::MissingDependency { step: batchable.to_owned() };
            let batchable_result = results.get(batchable).cloned().ok_or_else(missing)?;
            return Ok(Self::NoBatches { batchable_result });
        }
        let worker_count = u32::try_from(batch_results.len()).unwrap_or(u32::MAX);
        Ok(Self::WithBatches { batch_results, worker_count })
    }
}

/// A worker's name as it is sorted: `process_1000` comes after `process_999`.
fn numbered(name: &str) -> (&str, u64, &str) {
    let stem = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    (stem, name[stem.len()..].parse().unwrap_or(u64::MAX), name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_outcome_is_read_from_a_result_or_is_the_result() {
        let none = BatchProcessingOutcome::no_batches();
        assert_eq!(none.to_value(), json!({ "type": "no_batches" }));
        assert_eq!(BatchProcessingOutcome::of_result(&none.to_value()), Ok(none.clone()));
        assert_eq!(BatchProcessingOutcome::of_result(&json!({ OUTCOME: none.to_value(), "total_items": 0 })), Ok(none));
        let told = BatchProcessingOutcome::of_result(&json!({ "total_items": 0 })).unwrap_err();
        assert!(told.starts_with("the result of a batchable step says under `batch_processing_outcome`"), "{told}");
    }

    #[test]
    fn a_worker_begins_where_an_earlier_attempt_left_off_within_its_piece() {
        let cursor = CursorConfig {
            batch_id: "001".to_owned(),
            start_cursor: json!(200),
            end_cursor: json!(400),
            batch_size: 200,
        };
        for (saved, begins) in [
            (json!(200), Some(200)),
            (json!({ "last_cursor": 350, "items_processed": 150 }), Some(350)),
            (json!(400), Some(400)),
            (json!(199), None),
            (json!({ "last_cursor": 401 }), None),
            (json!({ "last_cursor": "350" }), None),
            (json!({ "items_processed": 150 }), None),
            (json!("somewhere"), None),
        ] {
            assert_eq!(left_off(&saved, &cursor), begins, "{saved}");
        }
    }

    #[test]
    fn a_worker_without_a_piece_or_with_an_empty_one_has_nothing_to_do() {
        let context = |cursor: Option<(u64, u64, u32)>| {
            let cursor = cursor.map(|(start, end, batch_size)| CursorConfig {
                batch_id: "001".to_owned(),
                start_cursor: json!(start),
                end_cursor: json!(end),
                batch_size,
            });
            BatchWorkerContext { cursor, resumed_at: None }
        };
        for (cursor, is_no_op) in [
            (None, true),
            (Some((200, 400, 0)), true),
            (Some((200, 200, 200)), true),
            (Some((0, 0, 0)), true),
            (Some((200, 201, 1)), false),
            (Some((0, 400, 200)), false),
        ] {
            assert_eq!(context(cursor).is_no_op(), is_no_op, "{cursor:?}");
        }
        // What was done before counts for nothing: a piece is empty or it is not.
        let done = BatchWorkerContext { resumed_at: Some(400), ..context(Some((200, 400, 200))) };
        assert!(!done.is_no_op() && done.start_position() == done.end_position());
    }

    #[test]
    fn a_piece_is_found_by_its_index() {
        let cursor = |id: &str| CursorConfig {
            batch_id: id.to_owned(),
            start_cursor: json!(0),
            end_cursor: json!(1),
            batch_size: 1,
        };
        let outcome = BatchProcessingOutcome::create_batches("w".to_owned(), 2, vec![cursor("001"), cursor("002")], 2);
        for result in [outcome.to_value(), json!({ OUTCOME: outcome.to_value() })] {
            assert_eq!(CursorConfig::in_result(&result, 1).unwrap()["batch_id"], "002");
            assert_eq!(CursorConfig::in_result(&result, 2), None);
        }
    }

    #[test]
    fn an_aggregator_finds_the_results_of_the_workers_or_that_of_the_batchable_step() {
        let result = |value| Arc::new(DependencyResult { result: value });
        let mut map = BTreeMap::from([("analyze".to_owned(), result(json!({ "total_items": 3 })))]);
        let none = BatchAggregationScenario::detect(&DependencyResults::new(map.clone()), "analyze", "process_");
        assert!(
            matches!(none, Ok(BatchAggregationScenario::NoBatches { batchable_result }) if batchable_result.result["total_items"] == 3)
        );
        map.insert("process_001".to_owned(), result(json!(1)));
        map.insert("process_002".to_owned(), result(json!(2)));
        let some = BatchAggregationScenario::detect(&DependencyResults::new(map), "analyze", "process_");
        let Ok(BatchAggregationScenario::WithBatches { batch_results, worker_count: 2 }) = some else {
            panic!("{some:?}")
        };
        assert_eq!(batch_results[1].0, "process_002");
        let names = (1..=1_002).rev().map(|number| format!("process_{number:03}"));
        let many = names.map(|name| (name, result(json!(null)))).chain([("analyze".to_owned(), result(json!(null)))]);
        let many = BatchAggregationScenario::detect(&DependencyResults::new(many.collect()), "analyze", "process_");
        let Ok(BatchAggregationScenario::WithBatches { batch_results, .. }) = many else { panic!("{many:?}") };
        assert!(batch_results.iter().enumerate().all(|(at, (name, _))| *name == format!("process_{:03}", at + 1)));
        assert!(BatchAggregationScenario::detect(&DependencyResults::default(), "analyze", "process_").is_err());
    }
}
