//! The bare command: where this program stands, and what to type next.

use std::fmt::Write as _;

use serde_json::json;

use super::args::Format;
use super::exit::Exit;
use super::human;
use super::screen::{BOLD, DIM};
use super::session::{Missing, open_store};
use super::{Context, Outcome, db};

/// Runs the command.
pub(crate) async fn run(context: Context) -> Outcome {
    let templates = context.templates();
    let handlers = context.registry.list_handlers().len();
    let path = context.settings.database.to_string();
    let info = if context.settings.database.is_there() {
        let store = open_store(&context, Missing::Refuse).await?;
        let info = db::read(&context, &store).await?;
        store.close().await?;
        Some(info)
    } else {
        None
    };
    match context.screen.format() {
        Format::Table => {}
        Format::Id => return context.screen.data(path).map(|()| Exit::Ok),
        _ => {
            let document = json!({
                "program": context.program.name,
                "version": env!("CARGO_PKG_VERSION"),
                "database": info.as_ref().map_or_else(|| json!({ "path": path }), |info| json!(info)),
                "templates": templates.loaded.len(),
                "refused_templates": templates.refused.len(),
                "handlers": handlers,
            });
            return context.screen.document(&document).map(|()| Exit::Ok);
        }
    }
    let mut out = format!("{BOLD}{} {}{BOLD:#}  durable workflows\n", context.program.name, env!("CARGO_PKG_VERSION"));
    let mut fact = |name: &str, value: String| _ = writeln!(out, "  {DIM}{name:12}{DIM:#}{value}");
    match &info {
        None => fact("database", format!("none yet; it will be {path}")),
        Some(info) => {
            let counts = &info.counts;
            let tasks = human::count(counts.open_tasks, "open task");
            fact("database", format!("{path} {DIM}({tasks}, {} failed){DIM:#}", counts.failed_tasks));
            fact("worker", db::workers(info));
        }
    }
    let names: Vec<&str> = templates.loaded.iter().map(|loaded| loaded.parsed.template.name.as_str()).collect();
    let refused = match templates.refused.len() {
        0 => String::new(),
        number => format!("  ({number} refused: see `{}`)", context.program.command("check")),
    };
    fact("templates", format!("{}{refused}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }));
    fact("handlers", handlers.to_string());
    out.push('\n');
    let next = next(&context, &names, info.as_ref());
    let mut commands: Vec<(String, &str)> =
        next.iter().map(|(verb, what)| (context.program.command(verb), *what)).collect();
    commands.push((context.program.command("--help"), "all commands"));
    out.push_str(&context.screen.commands(&commands));
    context.screen.data(out)?;
    Ok(Exit::Ok)
}

/// What makes sense now.
fn next(context: &Context, templates: &[&str], info: Option<&db::Info>) -> Vec<(String, &'static str)> {
    let mut next = Vec::new();
    if context.app.demo.is_some() && info.is_none() {
        next.push(("demo".to_owned(), "see a workflow run"));
    }
    match templates.first() {
        None => next.push(("new my-app".to_owned(), "make a project that builds as it stands")),
        Some(name) => {
            next.push((format!("run {name} -i @input.json --wait"), "run a task here and now"));
            if info.is_none_or(|info| !info.worker_runs) {
                next.push(("dev".to_owned(), "run the worker until Ctrl-C"));
            }
        }
    }
    if let Some(info) = info {
        if info.counts.failed_tasks > 0 {
            next.push(("dlq list".to_owned(), "what went wrong"));
        } else {
            next.push(("task list".to_owned(), "what there is"));
        }
    }
    next
}
