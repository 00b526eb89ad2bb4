//! Whether the branches of typed decisions are those of the template.

use std::collections::BTreeSet;

use tasker_types::template::codes::Code;
use tasker_types::template::{Finding, Severity};
use tasker_types::{StepNumber, StepType};

use super::super::Context;
use super::Report;
use crate::app::templates::Loaded;
use crate::handler::HandlerEntry;

/// A route names a step that does not come after the decision.
const NOT_AFTER: Code = Code {
    code: "E209",
    severity: Severity::Error,
    title: "a route to a step that does not come after its decision",
    explanation: "",
};
/// No variant of the route leads to a branch.
const NEVER_CHOSEN: Code =
    Code { code: "E210", severity: Severity::Warning, title: "a branch that is never chosen", explanation: "" };
/// A route of a step that is no decision.
const NO_DECISION: Code =
    Code { code: "E211", severity: Severity::Warning, title: "a route that decides nothing", explanation: "" };

/// A branch for each variant: the steps that go on.
type Branches = &'static [&'static [&'static str]];

impl Report {
    /// Whether each step that a typed decision may name comes after it, and each of its branches is named by a variant.
    pub(super) fn routes(&mut self, context: &Context, loaded: &Loaded) {
        let template = &loaded.parsed.template;
        for (number, step) in (0..).map(StepNumber).zip(&template.steps) {
            let handler = context.registry.find(&step.handler.callable, &step.name);
            let Some(entry) = handler.as_ref().and_then(|found| found.entry()) else { continue };
            let Some(branches) = entry.branches else { continue };
            if step.step_type == StepType::Decision {
                self.decision(loaded, number, entry, branches);
                continue;
            }
            let message = format!("step `{}` gives a route but is no decision {}", step.name, by(entry));
            let finding = Finding::new(&NO_DECISION, message)
                .with_label("all steps after it go on")
                .with_help("add `type: decision` to the step");
            self.finding(&loaded.file, &loaded.source, &finding.at(loaded.parsed.places[number.index()].handler));
        }
    }

    fn decision(&mut self, loaded: &Loaded, decision: StepNumber, entry: &HandlerEntry, branches: Branches) {
        let template = &loaded.parsed.template;
        let (graph, places) = (template.graph(), &loaded.parsed.places);
        let name = &template.steps[decision.index()].name;
        let after: BTreeSet<StepNumber> = graph.descendants(decision).into_iter().collect();
        // Whatever leads to a step that is named goes on with it.
        let mut goes_on: BTreeSet<StepNumber> = BTreeSet::new();
        let named: BTreeSet<&str> = branches.iter().copied().flatten().copied().collect();
        for &named in &named {
            let step = template.step_named(named);
            if let Some(step) = step.filter(|step| after.contains(step)) {
                goes_on.insert(step);
                goes_on.extend(graph.ancestors(step));
                continue;
            }
            let (what, help) = match step {
                Some(step) if step == decision => {
                    ("is the decision itself", "name steps that come after it".to_owned())
                }
                Some(_) => ("does not come after it", format!("add `{name}` to the `dependencies` of `{named}`")),
                None => ("is not in this template", "routes name steps, not handlers".to_owned()),
            };
            let message = format!("the decision `{name}` may choose step `{named}`, which {what} {}", by(entry));
            let label = format!("chooses `{named}`");
            let finding = Finding::new(&NOT_AFTER, message).with_label(label).with_help(help);
            self.finding(&loaded.file, &loaded.source, &finding.at(places[decision.index()].handler));
        }
        // A convergence is no branch: it waits for the decision as for any other step.
        let is_branch = |step: &&StepNumber| template.steps[step.index()].step_type != StepType::DeferredConvergence;
        for &branch in graph.children(decision).iter().filter(is_branch).filter(|step| !goes_on.contains(step)) {
            let branch_name = &template.steps[branch.index()].name;
            let message = format!("no route of the decision `{name}` leads to step `{branch_name}` {}", by(entry));
            let finding = Finding::new(&NEVER_CHOSEN, message)
                .with_label("skipped in every task")
                .with_help(format!("let a variant name it: `#[route(\"{branch_name}\")]`"));
            self.finding(&loaded.file, &loaded.source, &finding.at(places[branch.index()].name));
        }
    }
}

fn by(entry: &HandlerEntry) -> String {
    format!("(handler `{}`, {})", entry.rust_name, entry.place())
}
