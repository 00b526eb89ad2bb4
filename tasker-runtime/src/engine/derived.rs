//! What the types of handlers say of contexts and results, where the template says nothing: the feature `schemas`.

use std::sync::Arc;

use serde_json::Value;
use tasker_types::{StepNumber, look_up};

use super::schemas::Schema;
use super::{Engine, Error};
use crate::core::Pinned;
use crate::handler::{HandlerEntry, RustStepHandlerRegistry};

/// A value of the context that a step takes.
#[derive(Debug)]
pub(super) struct TakenInput {
    step: Arc<str>,
    key: &'static str,
    optional: bool,
    schema: Schema,
}

impl TakenInput {
    /// Why the step could not take it out of this context.
    fn misfits(&self, context: &Value) -> Option<String> {
        let found = look_up(context, self.key).unwrap_or(&Value::Null);
        if self.optional && found.is_null() {
            return None;
        }
        let misfits = self.schema.misfits_under(self.key, found)?;
        let what = if found.is_null() { format!("`{}` is missing", self.key) } else { misfits };
        Some(format!("step `{}` cannot take it: {what}", self.step))
    }
}

impl Engine {
    /// The context has what the steps take that run in any case, as far as their types say what that is.
    pub(super) fn check_taken(&self, pinned: &Pinned, context: &Value) -> Result<(), Error> {
        if pinned.template.input_schema.is_some() || !cfg!(all(feature = "schemars", feature = "schemas")) {
            return Ok(());
        }
        let taken =
            self.schemas.taken(pinned.id, || taken_by(pinned, &self.parts.registry)).map_err(Error::BadSchema)?;
        let misfits: Vec<String> = taken.iter().filter_map(|input| input.misfits(context)).collect();
        if misfits.is_empty() {
            return Ok(());
        }
        Err(Error::BadContext(format!("does not fit: {}", misfits.join("; "))))
    }

    /// A result that an operator gives by hand fits what the step's template says of it, else what the type of its handler says.
    pub(super) fn check_given(&self, pinned: &Pinned, number: StepNumber, result: &Value) -> Result<(), Error> {
        let declared = self.schemas.of_result(pinned, number).map_err(Error::BadSchema)?;
        if let Some(schema) = declared {
            return match schema.misfits(result) {
                Some(misfits) => {
                    Err(Error::BadResult(format!("the result does not fit the step's `result_schema`: {misfits}")))
                }
                None => Ok(()),
            };
        }
        let Some(made) = entry(pinned, number, &self.parts.registry).and_then(|entry| entry.result_schema) else {
            return Ok(());
        };
        // Seldom done, and by hand: not kept.
        match Schema::compile(&made()).map_err(Error::BadSchema)?.misfits(result) {
            Some(misfits) => {
                Err(Error::BadResult(format!("the result is not what the step's handler gives: {misfits}")))
            }
            None => Ok(()),
        }
    }
}

fn entry(pinned: &Pinned, number: StepNumber, registry: &RustStepHandlerRegistry) -> Option<&'static HandlerEntry> {
    let step = pinned.step(number);
    registry.find(&step.handler, &step.name)?.entry()
}

/// What the steps take from the context that run in any case. Of others it is not known whether they ever take it: those that a
/// decision may not choose, workers of a batch that may have none, and those that are skipped where they cannot take it.
fn taken_by(pinned: &Pinned, registry: &RustStepHandlerRegistry) -> Result<Vec<TakenInput>, String> {
    let mut taken = Vec::new();
    for number in pinned.numbers() {
        let step = pinned.step(number);
        let decided = pinned.ancestors(number).iter().any(|&above| pinned.step(above).decides());
        if decided || step.is_batch_worker() || pinned.is_skipped_over(number) {
            continue;
        }
        for input in entry(pinned, number, registry)
            .filter(|entry| is_described(entry))
            .map(|entry| entry.inputs)
            .unwrap_or_default()
        {
            let Some(made) = input.schema else { continue };
            let schema = Schema::compile(&made()).map_err(|reason| {
                format!("the schema of `{}`, which step `{}` takes, cannot be used: {reason}", input.key, step.name)
            })?;
            taken.push(TakenInput { step: step.name.clone(), key: input.key, optional: input.optional, schema });
        }
    }
    Ok(taken)
}

/// Whether one of the handler's types was given a schema by who wrote it. Numbers and texts have theirs in any case: a feature
/// that another crate of the program turns on must not change what a handler of such types accepts.
fn is_described(entry: &HandlerEntry) -> bool {
    const OF_OWN_TYPES: [&str; 6] = ["$defs", "properties", "enum", "oneOf", "anyOf", "allOf"];
    let made = entry.inputs.iter().filter_map(|input| input.schema).chain(entry.result_schema);
    made.map(|make| make()).any(|schema| OF_OWN_TYPES.iter().any(|key| schema.get(key).is_some()))
}
