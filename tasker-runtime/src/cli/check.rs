//! `check`: whether templates, handlers, settings and database fit together. Made for CI.

mod publishers;
mod routes;
mod schemas;

use serde_json::{Value, json};
use tasker_types::template::codes::Code;
use tasker_types::template::{Finding, Findings, Severity};

use super::args::Format;
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::screen::GOOD;
use super::session::{Missing, open_store};
use super::{Context, Outcome};
use crate::app::templates::{Loaded, Refused, Templates};
use crate::store::Store;

/// A step's handler is not in this program.
const NO_HANDLER: Code = Code {
    code: "E203",
    severity: Severity::Error,
    title: "a handler that this program does not have",
    explanation: "",
};
/// A step's handler is a guess.
const GUESSED: Code =
    Code { code: "E206", severity: Severity::Warning, title: "a handler that was guessed", explanation: "" };

/// A handler reads what no step before its own has.
const NOT_BEFORE: Code = Code {
    code: "E208",
    severity: Severity::Error,
    title: "a result that is not there when its reader runs",
    explanation: "",
};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Findings with their snippets.
    rendered: String,
    records: Vec<Value>,
    errors: u64,
    warnings: u64,
}

impl Report {
    fn finding(&mut self, file: &str, source: &str, finding: &Finding) {
        if !self.rendered.is_empty() {
            self.rendered.push('\n');
        }
        self.rendered.push_str(&finding.render(file, source));
        self.records.push(json!({ "file": file, "finding": finding }));
        self.count(finding.severity);
    }

    fn sentence(&mut self, severity: Severity, sentence: &str) {
        if !self.rendered.is_empty() {
            self.rendered.push('\n');
        }
        self.rendered.push_str(&format!("{}: {}\n", severity.as_str(), human::visible(sentence)));
        self.records.push(json!({ "severity": severity, "message": sentence }));
        self.count(severity);
    }

    fn count(&mut self, severity: Severity) {
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
    }

    fn findings(&mut self, findings: &Findings) {
        for finding in findings {
            self.finding(findings.file_name(), findings.source(), finding);
        }
        if findings.omitted() > 0 {
            let more = format!("{}: {} more findings are not shown", findings.file_name(), findings.omitted());
            self.sentence(Severity::Error, &more);
        }
    }

    /// Everything that is wrong with these templates, alone and with the handlers of this program.
    pub(crate) fn templates(&mut self, context: &Context, templates: &Templates) {
        for refused in &templates.refused {
            match refused {
                Refused::Findings(findings) => self.findings(findings),
                Refused::Other(reason) => self.sentence(Severity::Error, reason),
            }
        }
        for loaded in &templates.loaded {
            for warning in &loaded.parsed.warnings {
                self.finding(&loaded.file, &loaded.source, warning);
            }
            self.handlers(context, loaded);
            self.reads(context, loaded);
            self.routes(context, loaded);
            self.publishers(context, loaded);
            self.schemas(context, loaded);
        }
    }

    /// Whether what handlers read of earlier steps is there when they run: any step before will do, however far.
    fn reads(&mut self, context: &Context, loaded: &Loaded) {
        let template = &loaded.parsed.template;
        let graph = template.graph();
        for ((step, number), place) in template.steps.iter().zip(graph.steps()).zip(&loaded.parsed.places) {
            let handler = context.registry.find(&step.handler.callable, &step.name);
            let Some(entry) = handler.as_ref().and_then(|found| found.entry()) else { continue };
            let before = graph.ancestors(number);
            let is_before = |name: &str| before.iter().any(|earlier| template.steps[earlier.index()].name == name);
            for read in entry.dependencies.iter().filter(|read| !read.optional && !is_before(read.step)) {
                let (what, help) = if template.steps.iter().any(|other| other.name == read.step) {
                    ("does not come before it", format!("add `{}` to its `dependencies`", read.step))
                } else {
                    ("is not in this template", "results have the names of steps, not of handlers".to_owned())
                };
                let message = format!(
                    "step `{}` reads the result of step `{}`, which {what} (handler `{}`, {})",
                    step.name,
                    read.step,
                    entry.rust_name,
                    entry.place()
                );
                let label = format!("reads `{}`", read.step);
                let finding = Finding::new(&NOT_BEFORE, message).with_label(label).with_help(help);
                self.finding(&loaded.file, &loaded.source, &finding.at(place.handler));
            }
        }
    }

    fn handlers(&mut self, context: &Context, loaded: &Loaded) {
        let names = context.registry.list_handlers();
        // The stock binary checks templates of any program.
        if names.is_empty() {
            return;
        }
        for (needed, place) in loaded.needed().zip(&loaded.parsed.places) {
            let found = context.registry.find(&needed.callable, &needed.step);
            let finding = match found.map(|found| found.warning()) {
                Some(None) => continue,
                Some(Some(warning)) => Finding::new(&GUESSED, warning),
                None => {
                    let message = format!(
                        "step `{}` needs handler `{}`, which this program does not have",
                        needed.step, needed.callable
                    );
                    let near = tasker_types::suggest::nearest(&needed.callable, names.iter().map(String::as_str));
                    let help = near.map_or_else(
                        || {
                            "write it, or, if it is in a library crate, add `use that_crate as _;` to main.rs"
                                .to_owned()
                        },
                        |near| format!("did you mean `{near}`?"),
                    );
                    Finding::new(&NO_HANDLER, message).with_label("no such handler").with_help(help)
                }
            };
            self.finding(&loaded.file, &loaded.source, &finding.at(place.handler));
        }
    }

    /// Names that are taken twice, and state that is missing.
    fn program(&mut self, context: &Context) {
        for problem in context.registry.problems(&context.state, &[]).problems() {
            self.sentence(Severity::Error, &problem.to_string());
        }
        for problem in context.events.problems(&context.state) {
            self.sentence(Severity::Error, &problem);
        }
    }

    /// What the database has that this program does not go with.
    async fn database(&mut self, context: &Context, store: &dyn Store, templates: &Templates) -> Result<(), Problem> {
        for loaded in &templates.loaded {
            let template = &loaded.parsed.template;
            let stored = store.find_template(&template.namespace, &template.name, Some(&template.version)).await?;
            if stored.is_some_and(|stored| stored.template != *template) {
                self.sentence(Severity::Warning, &format!(
                    "{}: version {} of `{}` says something else in the database; new tasks will take this one, give it a version of its own; `{}` shows what differs",
                    loaded.file, template.version, template.name,
                    context.program.command(&format!("template diff {} {}", template.name, template.version))
                ));
            }
        }
        if context.registry.list_handlers().is_empty() {
            return Ok(());
        }
        for stored in store.list_templates().await? {
            if stored.open_tasks == 0 {
                continue;
            }
            let found = store.find_template(&stored.namespace, &stored.name, Some(&stored.version)).await?;
            let Some(pinned) = found else { continue };
            for step in pinned.steps.iter().filter(|step| !context.registry.is_registered(&step.handler)) {
                self.sentence(Severity::Warning, &format!(
                    "{} of `{}` {} need handler `{}` for step `{}`, which this program no longer has; an alias keeps an old name alive",
                    human::count(stored.open_tasks, "open task"), stored.name, stored.version, step.handler, step.name
                ));
            }
            for missing in context.events.missing(&pinned.template) {
                self.sentence(
                    Severity::Warning,
                    &format!(
                        "{} of `{}` {}: {missing}; their events go out without a payload of their own",
                        human::count(stored.open_tasks, "open task"),
                        stored.name,
                        stored.version
                    ),
                );
            }
        }
        Ok(())
    }

    /// Says what was found; `all` is what was looked at.
    pub(crate) fn tell(self, context: &Context, all: &str) -> Outcome {
        let screen = context.screen;
        if screen.format() == Format::Id {
            let codes = self.records.iter().filter_map(|record| record.pointer("/finding/code")?.as_str());
            let codes: Vec<&str> = codes.collect();
            if !codes.is_empty() {
                screen.data(codes.join("\n"))?;
            }
        } else if !screen.is_human() {
            screen.documents(&self.records)?;
        }
        if self.errors == 0 {
            if !self.rendered.is_empty() {
                screen.status(self.rendered.trim_end());
            }
            let warnings = match self.warnings {
                0 => String::new(),
                number => format!(", {}", human::count(number, "warning")),
            };
            screen.status(format!("{GOOD}✔{GOOD:#} {all}{warnings}"));
            return Ok(Exit::Ok);
        }
        let problem = Problem::new("E314", format!("{all}: {}", human::count(self.errors, "error")));
        Err(problem.with_findings(self.rendered, self.records).silent(!screen.is_human()))
    }
}

/// Runs the command.
pub(crate) async fn run(context: Context) -> Outcome {
    let templates = context.templates();
    let mut report = Report::default();
    report.program(&context);
    report.templates(&context, &templates);
    if context.settings.database.is_there() {
        let store = open_store(&context, Missing::Refuse).await?;
        report.database(&context, &*store, &templates).await?;
        store.close().await?;
    }
    let handlers = context.registry.list_handlers().len();
    let all = format!(
        "{} and {}",
        counted(templates.loaded.len() + templates.refused.len(), "template"),
        counted(handlers, "handler")
    );
    report.tell(&context, &all)
}

/// A number of things and their noun.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    human::count(u64::try_from(number).unwrap_or(u64::MAX), noun)
}
