//! A template with everything settled that a task needs: handlers by their registered names, retry, time limits.

use tasker_types::{RetrySpec, StepTemplate, Template};

use super::Error;
use crate::core::{ResolvedStep, ResolvedTemplate};
use crate::handler::{NeededHandler, Resolved, RustStepHandlerRegistry, StartupReport};

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

fn resolve_step(step: &StepTemplate, handler: &Resolved) -> ResolvedStep {
    let entry = handler.entry();
    let attribute = entry.map_or_else(RetrySpec::default, |entry| entry.retry);
    ResolvedStep {
        handler: handler.name().to_owned(),
        retry: step.retry.or(attribute).resolve(),
        timeout_ms: step.timeout_ms.or(entry.and_then(|entry| entry.timeout_ms)).unwrap_or(TIMEOUT_MS_DEFAULT),
    }
}
