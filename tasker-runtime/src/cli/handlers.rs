//! `handler`: what this program can run.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tasker_types::suggest::nearest;

use super::args::{Format, Handler};
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::screen::{BOLD, DIM, json_text};
use super::table::{Cell, Table};
use super::task::lines;
use super::{Context, Outcome};
use crate::handler::HandlerEntry;

/// Runs the command.
pub(crate) fn run(context: &Context, verb: &Handler) -> Outcome {
    match verb {
        Handler::List => list(context),
        Handler::Show { handler } => show(context, handler),
        Handler::Schema { handler } => schema(context, handler),
    }
}

/// What the types of a handler say, as one document whatever the format.
fn schema(context: &Context, handler: &str) -> Outcome {
    known(context, handler)?;
    let entry = context.registry.find_entry(handler);
    let inputs = entry.map(|entry| entry.inputs).unwrap_or_default();
    let given = entry.and_then(|entry| entry.result_schema);
    if !cfg!(feature = "schemars") {
        context.screen.status("this program was built without the feature `schemas` of tasker: types say nothing");
    }
    let inputs: Vec<Value> = inputs
        .iter()
        .map(|input| json!({ "key": input.key, "optional": input.optional, "schema": input.schema.map(|made| made()) }))
        .collect();
    context
        .screen
        .data(json_text(&json!({ "handler": handler, "inputs": inputs, "result": given.map(|made| made()) }), true)?)?;
    Ok(Exit::Ok)
}

/// The program has this handler.
fn known(context: &Context, handler: &str) -> Result<(), Problem> {
    if context.registry.is_registered(handler) {
        return Ok(());
    }
    let names = context.registry.list_handlers();
    let problem = Problem::new("E311", format!("this program has no handler `{handler}`"));
    Err(match nearest(handler, names.iter().map(String::as_str)) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help("`handler list` shows those that it has"),
    })
}

fn list(context: &Context) -> Outcome {
    let names = context.registry.list_handlers();
    match context.screen.format() {
        Format::Table if names.is_empty() => {
            context.screen.status("this program has no handlers; write one with #[step_handler], or, if they are in a library crate, add `use that_crate as _;` to main.rs");
        }
        Format::Table => {
            let mut table = Table::new(&["HANDLER", "WRITTEN AT", ""]);
            for name in &names {
                let entry = context.registry.find_entry(name);
                let docs = entry.map(|entry| first_line(entry.docs)).unwrap_or_default();
                table.row([name.as_str().into(), Cell::styled(place(entry), DIM), docs.into()]);
            }
            context.screen.data(table)?;
        }
        Format::Id if names.is_empty() => {}
        Format::Id => context.screen.data(lines(names.iter()))?,
        _ => context.screen.documents(&names.iter().map(|name| document(context, name)).collect::<Vec<_>>())?,
    }
    Ok(Exit::Ok)
}

fn place(entry: Option<&HandlerEntry>) -> String {
    entry.map_or_else(|| "registered by hand".to_owned(), |entry| format!("{}:{}", entry.file, entry.line))
}

fn first_line(docs: &str) -> String {
    human::visible(docs.trim().lines().next().unwrap_or_default())
}

fn document(context: &Context, name: &str) -> Value {
    let Some(entry) = context.registry.find_entry(name) else { return json!({ "name": name }) };
    let state: Vec<&str> = entry.state.iter().map(|need| (need.type_name)()).collect();
    let reads: Vec<Value> = entry
        .dependencies
        .iter()
        .map(|dependency| json!({ "step": dependency.step, "optional": dependency.optional }))
        .collect();
    json!({
        "name": name,
        "aliases": entry.aliases,
        "rust_name": entry.rust_name,
        "docs": entry.docs.trim(),
        "file": entry.file,
        "line": entry.line,
        "module": entry.module,
        "timeout_ms": entry.timeout_ms,
        "max_attempts": entry.retry.max_attempts,
        "state": state,
        "dependencies": reads,
    })
}

fn show(context: &Context, handler: &str) -> Outcome {
    known(context, handler)?;
    let entry = context.registry.find_entry(handler);
    match context.screen.format() {
        Format::Table => context.screen.data(text(context, handler, entry))?,
        Format::Id => context.screen.data(handler)?,
        _ => context.screen.document(&document(context, handler))?,
    }
    Ok(Exit::Ok)
}

fn text(context: &Context, name: &str, entry: Option<&HandlerEntry>) -> String {
    let mut out = format!("{BOLD}{name}{BOLD:#}\n");
    if let Some(docs) = entry.map(|entry| entry.docs.trim()).filter(|docs| !docs.is_empty()) {
        _ = writeln!(out, "{}\n", human::visible_lines(docs));
    }
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            _ = writeln!(out, "  {DIM}{name:14}{DIM:#}{value}");
        }
    };
    fact("written at", entry.map_or_else(|| "registered by hand".to_owned(), HandlerEntry::place));
    if let Some(entry) = entry {
        fact("further names", entry.aliases.join(", "));
        fact("timeout", entry.timeout_ms.map(|ms| format!("{ms} ms")).unwrap_or_default());
        fact("attempts", entry.retry.max_attempts.map(|most| format!("at most {most}")).unwrap_or_default());
        fact("reads", entry.dependencies.iter().map(|dependency| dependency.step).collect::<Vec<_>>().join(", "));
        fact("state", entry.state.iter().map(|need| (need.type_name)()).collect::<Vec<_>>().join(", "));
    }
    fact("used by", used_by(context, name).join(", "));
    out.trim_end().to_owned()
}

/// The steps of this program's templates that the handler runs.
fn used_by(context: &Context, name: &str) -> Vec<String> {
    let templates = context.templates();
    let mut users = Vec::new();
    for needed in templates.needed() {
        let found = context.registry.find(&needed.callable, &needed.step);
        if found.is_some_and(|found| found.name() == name) {
            users.push(format!("{}.{}", needed.template, needed.step));
        }
    }
    users
}
