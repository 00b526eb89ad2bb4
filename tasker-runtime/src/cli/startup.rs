//! Whether this program can run what it is asked to: everything that is wrong, in one report.

use serde_json::{Value, json};

use super::Context;
use super::human;
use super::problem::Problem;
use crate::app::templates::{Refused, Templates};
use crate::engine::Engine;
use crate::handler::StartupReport;

/// The templates of this program, if all of them can run in it.
pub(crate) fn check(context: &Context) -> Result<Templates, Problem> {
    let templates = context.templates();
    let report = context.registry.problems(&context.state, &templates.needed());
    let mut events = context.events.problems(&context.state);
    for loaded in &templates.loaded {
        events.extend(
            context.events.missing(&loaded.parsed.template).map(|missing| format!("{}: {missing}", loaded.file)),
        );
    }
    match problem(&templates.refused, &report, &events) {
        None => Ok(templates),
        Some(problem) => Err(problem),
    }
}

/// Everything that is wrong, as one problem.
fn problem(refused: &[Refused], report: &StartupReport, events: &[String]) -> Option<Problem> {
    let mut body = String::new();
    let mut lines = Vec::new();
    let mut records: Vec<Value> = Vec::new();
    let mut errors = 0_u64;
    for refused in refused {
        match refused {
            Refused::Findings(findings) => {
                body.push_str(&format!("{findings}\n"));
                errors += u64::try_from(findings.len() + findings.omitted()).unwrap_or(u64::MAX);
                records
                    .extend(findings.iter().map(|finding| json!({ "file": findings.file_name(), "finding": finding })));
            }
            Refused::Other(reason) => {
                lines.push(reason.clone());
                records.push(json!({ "message": reason }));
            }
        }
    }
    for found in report.problems().iter().map(ToString::to_string).chain(events.iter().cloned()) {
        records.push(json!({ "message": found }));
        lines.push(found);
    }
    if records.is_empty() {
        return None;
    }
    let number = errors + u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let mut message = format!("this program cannot start: {}", human::count(number, "problem"));
    for line in lines {
        message.push('\n');
        message.push_str(&line);
    }
    let problem = Problem::new("E301", message);
    Some(problem.with_help("nothing was started; put all of it right, then try again").with_findings(body, records))
}

/// Stores the templates, so that new tasks start on them.
pub(crate) async fn store(engine: &Engine, templates: &Templates) -> Result<(), Problem> {
    for loaded in &templates.loaded {
        engine.add_template(loaded.parsed.template.clone()).await?;
    }
    Ok(())
}
