//! A template with everything settled that a task needs: handlers by their registered names, retry, time limits.

use tasker_types::{RetryPolicy, RetrySpec, StepTemplate, Template};

use super::Error;
use crate::core::{ResolvedStep, ResolvedTemplate};
use crate::event::EventRegistry;
use crate::handler::{HandlerEntry, NeededHandler, Resolved, RustStepHandlerRegistry, StartupReport};

/// The time limit of an attempt where neither template nor attribute says one: a hung handler must not hold its slot for ever.
const TIMEOUT_MS_DEFAULT: u64 = 300_000;

/// Template before attribute before default.
pub(super) fn resolve(registry: &RustStepHandlerRegistry, template: Template) -> Result<ResolvedTemplate, Error> {
    let mut steps = Vec::with_capacity(template.steps.len());
    let mut missing = Vec::new();
    for step in &template.steps {
        match registry.find(&step.handler.callable, &step.name) {
            Some(handler) => steps.push(resolve_step(step, &handler)),
            None => missing.push(NeededHandler {
                template: template.name.clone(),
                step: step.name.clone(),
                callable: step.handler.callable.clone(),
            }),
        }
    }
    if missing.is_empty() {
        return Ok(ResolvedTemplate { template, steps });
    }
    let report: StartupReport = registry.problems_of(&missing);
    Err(Error::NoHandler(report.to_string()))
}

/// Whether every publisher that the template names is in this binary.
pub(super) fn check_publishers(events: &EventRegistry, template: &Template) -> Result<(), Error> {
    let missing: Vec<String> =
        events.missing(template).map(|missing| format!("template `{}`: {missing}", template.name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::NoPublisher(missing.join("\n"))) }
}

fn resolve_step(step: &StepTemplate, handler: &Resolved) -> ResolvedStep {
    let (retry, (timeout_ms, _)) = honoured(step, handler.entry());
    ResolvedStep { handler: handler.name().to_owned(), retry, timeout_ms }
}

/// Who said what a step runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaidBy {
    /// The template.
    Template,
    /// The handler's attribute.
    Handler,
    /// Neither.
    Default,
}

/// What a step of this template runs with where this handler runs it: retry, and the time limit with who said it.
pub(crate) fn honoured(step: &StepTemplate, handler: Option<&HandlerEntry>) -> (RetryPolicy, (u64, SaidBy)) {
    let attribute = handler.map_or_else(RetrySpec::default, |entry| entry.retry);
    let timeout = match (step.timeout_ms, handler.and_then(|entry| entry.timeout_ms)) {
        (Some(ms), _) => (ms, SaidBy::Template),
        (None, Some(ms)) => (ms, SaidBy::Handler),
        (None, None) => (TIMEOUT_MS_DEFAULT, SaidBy::Default),
    };
    (step.retry.or(attribute).resolve(), timeout)
}
