//! `template`: the templates of this program and of its database.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tasker_types::suggest::nearest;
use tasker_types::template::json_schema;
use tasker_types::{StepTemplate, Template as Workflow};

use super::args::{Format, OneTemplate, Template};
use super::check::{Report, counted};
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::progress::most_failures;
use super::screen::{BOLD, DIM};
use super::session::{Missing, open_store};
use super::table::{Cell, Table};
use super::task::lines;
use super::{Context, Outcome, diff, graph};
use crate::app::templates::Templates;
use crate::engine::{Clock, SaidBy, honoured};
use crate::store::StoredTemplate;

/// Runs the command.
pub(crate) async fn run(context: Context, verb: Template) -> Outcome {
    match verb {
        Template::List => list(&context).await,
        Template::Show(which) => show(&context, &which).await,
        Template::Graph(args) => graph::draw(&context, &find(&context, &args.template).await?, &args),
        Template::Diff(args) => diff::run(&context, &args).await,
        Template::Schema => {
            context.screen.document(&json_schema())?;
            Ok(Exit::Ok)
        }
        Template::Check { files } => {
            let templates = if files.is_empty() {
                context.templates()
            } else {
                Templates::read_files(&files, context.settings.env.as_deref())
            };
            let mut report = Report::default();
            report.templates(&context, &templates);
            report.tell(&context, &counted(templates.loaded.len() + templates.refused.len(), "template"))
        }
    }
}

/// A template of this name, wherever it is.
#[derive(Debug, Default)]
struct Listed {
    steps: Option<usize>,
    file: Option<String>,
    stored: Option<StoredTemplate>,
}

type Key = (String, String, String);

async fn all(context: &Context) -> Result<BTreeMap<Key, Listed>, Problem> {
    let mut all: BTreeMap<Key, Listed> = BTreeMap::new();
    let templates = context.templates();
    for loaded in templates.loaded {
        let Workflow { namespace, name, version, steps, .. } = loaded.parsed.template;
        let listed = all.entry((namespace, name, version)).or_default();
        (listed.steps, listed.file) = (Some(steps.len()), Some(loaded.file));
    }
    if !templates.refused.is_empty() {
        context.screen.warn(format!(
            "{} cannot be used: see `{}`",
            counted(templates.refused.len(), "template"),
            context.program.command("check")
        ));
    }
    if context.settings.database.is_there() {
        let store = open_store(context, Missing::Refuse).await?;
        for stored in store.list_templates().await? {
            let key = (stored.namespace.clone(), stored.name.clone(), stored.version.clone());
            let listed = all.entry(key).or_default();
            let open = listed.stored.as_ref().map_or(0, |earlier| earlier.open_tasks);
            listed.stored = Some(StoredTemplate { open_tasks: stored.open_tasks + open, ..stored });
        }
        store.close().await?;
    }
    Ok(all)
}

async fn list(context: &Context) -> Outcome {
    let all = all(context).await?;
    match context.screen.format() {
        Format::Table if all.is_empty() => {
            let folder = context.settings.templates.as_deref().map(crate::app::templates::shown);
            let place = folder.map_or_else(String::new, |folder| format!("; put one into {folder}"));
            context.screen.status(format!("there is no template{place}"));
        }
        Format::Table => {
            let now = Clock::System.now();
            let mut table = Table::new(&["TEMPLATE", "VERSION", "NAMESPACE", "STEPS", "OPEN TASKS", "STORED", "FILE"]);
            for ((namespace, name, version), listed) in &all {
                let stored = listed.stored.as_ref();
                table.row([
                    Cell::styled(name.as_str(), BOLD),
                    version.as_str().into(),
                    namespace.as_str().into(),
                    listed.steps.map(|steps| steps.to_string()).unwrap_or_default().into(),
                    stored.map(|stored| stored.open_tasks.to_string()).unwrap_or_default().into(),
                    Cell::styled(
                        stored.map_or_else(|| "not yet".to_owned(), |stored| human::ago(stored.stored_at, now)),
                        DIM,
                    ),
                    Cell::styled(listed.file.as_deref().unwrap_or("only in the database"), DIM),
                ]);
            }
            context.screen.data(table)?;
        }
        Format::Id if all.is_empty() => {}
        Format::Id => context.screen.data(lines(all.keys().map(|(_, name, _)| name)))?,
        _ => {
            let documents: Vec<Value> = all
                .iter()
                .map(|((namespace, name, version), listed)| {
                    json!({
                        "name": name,
                        "namespace": namespace,
                        "version": version,
                        "file": listed.file,
                        "steps": listed.steps,
                        "stored_at": listed.stored.as_ref().map(|stored| stored.stored_at),
                        "hash": listed.stored.as_ref().map(|stored| &stored.hash),
                        "open_tasks": listed.stored.as_ref().map_or(0, |stored| stored.open_tasks),
                    })
                })
                .collect();
            context.screen.documents(&documents)?;
        }
    }
    Ok(Exit::Ok)
}

/// The template that is meant: of this program, else of the database.
async fn find(context: &Context, which: &OneTemplate) -> Result<Workflow, Problem> {
    let admits = |template: &Workflow| {
        template.name == which.template
            && which.namespace.as_ref().is_none_or(|namespace| *namespace == template.namespace)
            && which.version.as_ref().is_none_or(|version| *version == template.version)
    };
    let templates = context.templates();
    let mut found: Vec<Workflow> =
        templates.loaded.into_iter().map(|loaded| loaded.parsed.template).filter(admits).collect();
    let mut known = Vec::new();
    if found.is_empty() && context.settings.database.is_there() {
        let store = open_store(context, Missing::Refuse).await?;
        for stored in store.list_templates().await? {
            known.push(stored.name.clone());
            if stored.name != which.template {
                continue;
            }
            let pinned = store.find_template(&stored.namespace, &stored.name, Some(&stored.version)).await?;
            found.extend(pinned.map(|pinned| pinned.template.clone()).filter(admits));
        }
        store.close().await?;
    }
    let mut namespaces: Vec<&str> = found.iter().map(|template| template.namespace.as_str()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    if namespaces.len() > 1 {
        let problem = Problem::new(
            "E309",
            format!("template `{}` is in several namespaces: {}", which.template, namespaces.join(", ")),
        );
        return Err(problem.with_help("say which one with --namespace"));
    }
    let number =
        |template: &Workflow| template.version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u64>>();
    match found.into_iter().max_by_key(number) {
        Some(newest) => Ok(newest),
        None => Err(unknown(context, which, known)),
    }
}

/// Says that there is none, and which name may have been meant.
pub(crate) fn unknown(context: &Context, which: &OneTemplate, mut known: Vec<String>) -> Problem {
    let templates = context.templates();
    known.extend(templates.loaded.into_iter().map(|loaded| loaded.parsed.template.name));
    let version = which.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let problem = Problem::new("E201", format!("there is no template `{}`{version}", which.template));
    match nearest(&which.template, known.iter().map(String::as_str)) {
        Some(near) if near != which.template => problem.with_help(format!("did you mean `{near}`?")),
        _ => problem.with_help("`template list` shows what there is"),
    }
}

async fn show(context: &Context, which: &OneTemplate) -> Outcome {
    let template = find(context, which).await?;
    match context.screen.format() {
        Format::Table => context.screen.data(text(context, &template))?,
        Format::Id => context.screen.data(&template.name)?,
        _ => context.screen.document(&template)?,
    }
    Ok(Exit::Ok)
}

fn text(context: &Context, template: &Workflow) -> String {
    let mut out = format!("{BOLD}{}{BOLD:#} {} in {}\n", template.name, template.version, template.namespace);
    if let Some(description) = &template.description {
        _ = writeln!(out, "{}", human::visible_lines(description));
    }
    match (&template.environment, &context.settings.env) {
        (Some(environment), _) => _ = writeln!(out, "{DIM}environment{DIM:#} {}", human::visible(environment)),
        (None, Some(environment)) => {
            let environment = human::visible(environment);
            _ = writeln!(out, "{DIM}environment{DIM:#} {environment}, of which the template says nothing");
        }
        (None, None) => {}
    }
    if !template.required_fields.is_empty() {
        _ = writeln!(out, "{DIM}takes{DIM:#} {}", template.required_fields.join(", "));
    }
    let mut table = Table::new(&["STEP", "HANDLER", "AFTER", "ATTEMPTS", "TIMEOUT", ""]);
    for step in &template.steps {
        table.row(step_row(context, template, step));
    }
    _ = write!(out, "\n{table}");
    out
}

/// What a step runs with, and not only what is written of it.
fn step_row(context: &Context, template: &Workflow, step: &StepTemplate) -> [Cell; 6] {
    let handler = context.registry.find(&step.handler.callable, &step.name);
    let (retry, (timeout_ms, said_by)) = honoured(step, handler.as_ref().and_then(|found| found.entry()));
    let parents = step.dependencies.iter().filter_map(|number| template.steps.get(number.index()));
    let timeout = human::duration(Duration::from_millis(timeout_ms));
    let by = match said_by {
        SaidBy::Template => "",
        SaidBy::Handler => " (handler)",
        SaidBy::Default if handler.is_none() => " (default; its handler is not here)",
        SaidBy::Default => " (default)",
    };
    [
        Cell::styled(step.name.as_str(), BOLD),
        step.handler.callable.as_str().into(),
        parents.map(|parent| parent.name.as_str()).collect::<Vec<_>>().join(", ").into(),
        most_failures(&retry).to_string().into(),
        format!("{timeout}{by}").into(),
        Cell::styled(human::visible(step.description.as_deref().unwrap_or_default()), DIM),
    ]
}
