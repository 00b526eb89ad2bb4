//! `inputs` of a step: which values it is given, and where each of them comes from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::codes;
use super::fields::{Fields, Reading};
use super::node::{At, Kind};
use super::report::Report;
use super::scalar::{Scalar, describe, quoted, resolve};
use super::step::Draft;
use crate::suggest::nearest;
use crate::{Graph, StepNumber, StepType, look_up};

/// The word that stands for the task's context.
const CONTEXT: &str = "context";

/// Where a value comes from that a step is given: the task's context, or the result of a step before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSource {
    /// The step whose result it is in; the task's context where this is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepNumber>,
    /// The keys that lead to it, with dots between them; all of it where this is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

impl InputSource {
    /// What the path leads to in the context or the result that it is about.
    #[must_use]
    pub fn find<'v>(&self, within: &'v Value) -> Option<&'v Value> {
        if self.path.is_empty() { Some(within) } else { look_up(within, &self.path) }
    }
}

/// A value that a step asks for, whose step is a name still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'n> {
    name: &'n str,
    from: &'n str,
    at: At,
}

/// The values under `inputs`.
pub(super) fn read<'n>(
    fields: &Fields<'n, '_>,
    step_type: StepType,
    label: &str,
    reading: &mut Reading,
) -> Option<Vec<Wish<'n>>> {
    let entry = fields.get("inputs")?;
    let Kind::Map(entries) = &entry.value.kind else {
        fields.wrong_type("inputs", "a mapping", &entry.value, reading);
        return None;
    };
    if step_type == StepType::BatchWorker {
        let message = format!("{} is given, but the step is a `{step_type}`", fields.name_of("inputs"));
        let added = reading.report.add(&codes::MISPLACED_OPTION, entry.key_at, message);
        added.label("not for this type").help("a worker of a batch is given its cursor");
    }
    let mut wishes: Vec<Wish<'n>> = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = reading.dialect.key(entry);
        if wishes.iter().any(|wish| wish.name == name) {
            let message = format!("`inputs.{name}` of {label} is given twice");
            let added = reading.report.add(&codes::DUPLICATE_KEY, entry.key_at, message);
            added.help("with and without a leading colon it is the same key");
        }
        match &entry.value.kind {
            Kind::Scalar { text, plain } if resolve(text, *plain) != Scalar::Null => {
                wishes.push(Wish { name, from: text, at: entry.value.at });
            }
            _ => {
                let what = describe(&entry.value);
                let message = format!("{} must be a place such as `context.key`, but is {what}", place(name, label));
                let added = reading.report.add(&codes::WRONG_TYPE, entry.value.anchor(), message);
                added
                    .label("must be a place")
                    .help("write `context.key`, or `step.key` for the result of a step before");
            }
        }
    }
    Some(wishes)
}

/// Gives each step where its inputs come from, and reports those that come from nowhere.
pub(super) fn connect(drafts: &mut [Draft<'_>], numbers: &BTreeMap<String, StepNumber>, report: &mut Report) {
    if drafts.iter().all(|draft| draft.inputs.is_none()) {
        return;
    }
    // Of steps that wait for each other each is before the other: that is told elsewhere.
    let graph = Graph::new(drafts.iter().map(|draft| draft.step.dependencies.clone()).collect());
    for at in 0..drafts.len() {
        let Some(wishes) = drafts[at].inputs.take() else { continue };
        let before = graph.ancestors(StepNumber(u32::try_from(at).unwrap_or(u32::MAX)));
        let mut sources = BTreeMap::new();
        for wish in wishes {
            match source(wish, drafts, at, &before, numbers) {
                Ok(source) => drop(sources.insert(wish.name.to_owned(), source)),
                Err(Nowhere { reason, label, help, near }) => {
                    let message =
                        format!("{} comes from {}, {reason}", place(wish.name, &drafts[at].label), quoted(wish.from));
                    let added = report.add(&codes::INPUT_FROM_NOWHERE, wish.at, message).label(label);
                    match near {
                        Some(near) => added.suggest(Some(&near)),
                        None => added.help(help),
                    };
                }
            }
        }
        drafts[at].step.inputs = Some(sources);
    }
}

/// Why an input comes from nowhere.
struct Nowhere {
    reason: &'static str,
    label: &'static str,
    help: String,
    near: Option<String>,
}

fn source(
    wish: Wish<'_>,
    drafts: &[Draft<'_>],
    at: usize,
    before: &[StepNumber],
    numbers: &BTreeMap<String, StepNumber>,
) -> Result<InputSource, Nowhere> {
    let (first, path) = wish.from.split_once('.').unwrap_or((wish.from, ""));
    let dangling = wish.from.ends_with('.') || path.split('.').any(str::is_empty) && !path.is_empty();
    if first.is_empty() || dangling {
        let help = "write `context.key`, or `step.key` for the result of a step before".to_owned();
        return Err(Nowhere { reason: "which is no place", label: "not a place", help, near: None });
    }
    if first == CONTEXT {
        return Ok(InputSource { step: None, path: path.to_owned() });
    }
    let name_of = |number: &StepNumber| drafts[number.index()].step.name.as_str();
    let Some(&number) = numbers.get(first) else {
        let near = nearest(first, before.iter().map(name_of).chain([CONTEXT]));
        let near = near.map(|near| wish.from.replacen(first, near, 1));
        let help = "write `context.key` for what the task was submitted with, or begin with the name of a step before";
        return Err(Nowhere { reason: "which does not exist", label: "no such step", help: help.to_owned(), near });
    };
    if drafts[number.index()].step.step_type == StepType::BatchWorker {
        let help = "its workers have a result each; the handler reads them with `BatchAggregationScenario`".to_owned();
        return Err(Nowhere { reason: "which is a `batch_worker`", label: "many results", help, near: None });
    }
    if number.index() == at || before.binary_search(&number).is_err() {
        let help = format!("add `{first}` to its `dependencies`");
        let help = if number.index() == at { "a step cannot be given its own result".to_owned() } else { help };
        return Err(Nowhere {
            reason: "which does not come before it",
            label: "not before this step",
            help,
            near: None,
        });
    }
    Ok(InputSource { step: Some(number), path: path.to_owned() })
}

fn place(name: &str, label: &str) -> String {
    format!("`inputs.{name}` of {label}")
}
