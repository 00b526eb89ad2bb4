//! What a step is given as its inputs: what its template maps, a worker's cursor, or the task's context.

use std::sync::Arc;

use serde_json::{Map, Value};
use tasker_types::{CursorConfig, DependencyResults, InputSource, StepNumber};

use crate::core::Pinned;

/// What the step is given as its inputs.
///
/// # Errors
/// A place that the template names has nothing; the sentence names it.
pub(super) fn of(
    pinned: &Pinned,
    number: StepNumber,
    context: &Arc<Value>,
    results: &DependencyResults,
) -> Result<Arc<Value>, String> {
    if let Some(cursor) = cursor(pinned, number, results) {
        return Ok(cursor);
    }
    let Some(wanted) = &pinned.step(number).definition.inputs else { return Ok(context.clone()) };
    let mut inputs = Map::with_capacity(wanted.len());
    for (name, source) in wanted {
        inputs.insert(name.clone(), value(pinned, name, source, context, results)?);
    }
    Ok(Arc::new(Value::Object(inputs)))
}

/// The value that an input stands for; `null` where its step was skipped, as an `Option` reads it.
fn value(
    pinned: &Pinned,
    name: &str,
    source: &InputSource,
    context: &Value,
    results: &DependencyResults,
) -> Result<Value, String> {
    let missing =
        |place: &str, within: &str| format!("`inputs.{name}` comes from `{place}`, which {within} does not have");
    let Some(step) = source.step else {
        let found = source.find(context).cloned();
        return found.ok_or_else(|| missing(&format!("context.{}", source.path), "the task's context"));
    };
    let step = pinned.name(step);
    let Some(found) = results.get(&step) else { return Ok(Value::Null) };
    let value = source.find(&found.result).cloned();
    value.ok_or_else(|| missing(&format!("{step}.{}", source.path), &format!("the result of step `{step}`")))
}

/// What a worker of a batch is to do: its cursor in the result of the step that made it.
fn cursor(pinned: &Pinned, number: StepNumber, results: &DependencyResults) -> Option<Arc<Value>> {
    let index = usize::try_from(pinned.worker_index(number)?).ok()?;
    let made_by = pinned.parents(number).first().copied()?;
    let result = &results.get(&pinned.name(made_by))?.result;
    CursorConfig::in_result(result, index).cloned().map(Arc::new)
}
