//! `environments`: what a template says otherwise where its program runs in one of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::codes;
use super::fields::{Fields, Reading};
use super::keys::{ENVIRONMENT, ENVIRONMENT_STEP};
use super::names::check_name;
use super::node::{At, Kind, Node};
use super::report::Report;
use super::scalar::quoted;
use super::step::{Draft, handler, peek_name, retry, timeout};
use super::{StepTemplate, Template};
use crate::suggest::nearest;
use crate::{RetrySpec, StepNumber};

/// The word that stands for every step.
const ALL: &str = "ALL";

/// The environments of a template by name, each with what it says otherwise.
pub(super) type Environments = BTreeMap<String, Vec<Otherwise>>;

/// What an environment says otherwise of a step, or of all.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Otherwise {
    /// The step; all of them where this is `None`.
    step: Option<StepNumber>,
    callable: Option<String>,
    initialization: Map<String, Value>,
    retry: RetrySpec,
    timeout_ms: Option<u64>,
}

/// What an environment says of a step that is a name still.
pub(super) struct Unconnected<'n> {
    environment: String,
    name: &'n str,
    at: At,
    otherwise: Otherwise,
}

/// Everything under `environments`: their names, and what each says of which step.
#[derive(Default)]
pub(super) struct EnvironmentsDraft<'n> {
    names: Vec<String>,
    list: Vec<Unconnected<'n>>,
}

pub(super) fn read<'n>(fields: &Fields<'n, '_>, reading: &mut Reading) -> EnvironmentsDraft<'n> {
    let mut draft = EnvironmentsDraft::default();
    let Some(entry) = fields.get("environments") else { return draft };
    let Kind::Map(entries) = &entry.value.kind else {
        fields.wrong_type("environments", "a mapping", &entry.value, reading);
        return draft;
    };
    for entry in entries {
        let name = reading.dialect.key(entry);
        if let Err(bad) = check_name(name) {
            let message = format!("bad environment name: {}", bad.reason);
            reading.report.add(&codes::BAD_NAME, entry.key_at, message).suggest(bad.suggestion.as_deref());
        }
        let label = format!("environment {}", quoted(name));
        draft.names.push(name.to_owned());
        let Some(inner) = Fields::of(&entry.value, &ENVIRONMENT, label.clone(), "", reading) else { continue };
        for node in inner.list("steps", reading).unwrap_or_default() {
            draft.list.extend(read_step(node, name, &label, reading));
        }
    }
    draft
}

fn read_step<'n>(node: &'n Node<'_>, environment: &str, label: &str, reading: &mut Reading) -> Option<Unconnected<'n>> {
    let label = peek_name(node)
        .map_or_else(|| format!("a step of {label}"), |name| format!("step {} of {label}", quoted(name)));
    let fields = Fields::of(node, &ENVIRONMENT_STEP, label.clone(), "", reading)?;
    let (name, at) = fields.text("name", reading)?;
    // Read as a step's is: what it does not say is left as the step says it.
    let mut draft = Draft::of(StepTemplate::named(""), label.clone(), at);
    handler(&fields, &mut draft, reading);
    let StepTemplate { handler, .. } = draft.step;
    let otherwise = Otherwise {
        step: None,
        callable: draft.handler_at.map(|_| handler.callable),
        initialization: handler.initialization.as_object().cloned().unwrap_or_default(),
        retry: retry(&fields, &label, reading),
        timeout_ms: timeout(&fields, reading),
    };
    Some(Unconnected { environment: environment.to_owned(), name, at, otherwise })
}

/// Gives what environments say the numbers of their steps, and reports steps that there are not.
pub(super) fn connect(draft: EnvironmentsDraft<'_>, steps: &[Draft<'_>], report: &mut Report) -> Environments {
    let mut environments: Environments = draft.names.into_iter().map(|name| (name, Vec::new())).collect();
    let names: Vec<&str> = steps.iter().filter(|step| step.named).map(|step| step.step.name.as_str()).collect();
    let numbers: BTreeMap<&str, StepNumber> = steps
        .iter()
        .zip((0..).map(StepNumber))
        .filter(|(step, _)| step.named)
        .map(|(step, number)| (step.step.name.as_str(), number))
        .collect();
    let mut first_at = BTreeMap::new();
    for Unconnected { environment, name, at, mut otherwise } in draft.list {
        otherwise.step = numbers.get(name).copied();
        if otherwise.step.is_none() && name != ALL {
            let message = format!(
                "environment {} says something of {}, which does not exist",
                quoted(&environment),
                quoted(name)
            );
            let added = report.add(&codes::ENVIRONMENT_WITHOUT_STEP, at, message).label("unknown step");
            match nearest(name, names.iter().copied().chain([ALL])) {
                Some(near) => added.suggest(Some(near)),
                None => added.help("name a step of the template, or `ALL`"),
            };
            continue;
        }
        if let Some(&first) = first_at.get(&(environment.clone(), name)) {
            let message = format!("environment {} names {} twice", quoted(&environment), quoted(name));
            let added = report.add(&codes::DUPLICATE_STEP, at, message).label("named a second time here");
            added.related(first, "the first is here");
            continue;
        }
        first_at.insert((environment.clone(), name), at);
        environments.entry(environment).or_default().push(otherwise);
    }
    for otherwise in environments.values_mut() {
        // What is said of all comes first: what is said of one step goes over it, wherever it stands.
        otherwise.sort_by_key(|otherwise| otherwise.step);
    }
    environments
}

/// The template as it runs in the environment.
pub(super) fn apply(template: &mut Template, environment: &str, says: &[Otherwise]) {
    for otherwise in says {
        match otherwise.step {
            None => template.steps.iter_mut().for_each(|step| otherwise.apply(step)),
            Some(number) => {
                if let Some(step) = template.steps.get_mut(number.index()) {
                    otherwise.apply(step);
                }
            }
        }
    }
    template.environment = Some(environment.to_owned());
}

impl Otherwise {
    fn apply(&self, step: &mut StepTemplate) {
        if let Some(callable) = &self.callable {
            callable.clone_into(&mut step.handler.callable);
        }
        if let (Value::Object(all), false) = (&mut step.handler.initialization, self.initialization.is_empty()) {
            all.extend(self.initialization.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        step.retry = self.retry.or(step.retry);
        step.timeout_ms = self.timeout_ms.or(step.timeout_ms);
    }
}
