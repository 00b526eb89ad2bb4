//! `template diff`: what is otherwise in one content of a template than in another one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tasker_types::Template;
use tasker_types::template::{KeyChange, TemplateDiff};

use super::args::{Format, OneTemplate, TemplateDiffer};
use super::check::{Report, counted};
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::screen::{BAD, BOLD, DIM, GOOD, WARN};
use super::session::{Missing, open_store};
use super::templates::unknown;
use super::{Context, Outcome};
use crate::app::templates::Templates;

/// The longest value that is shown in a line.
const VALUE_CHARACTERS_MAX: usize = 120;

/// What is compared, and where it is from.
struct Side {
    template: Template,
    from: String,
}

/// Compares what is stored with what is stored in another version, in a file, or in this program. As `diff` does, it ends with
/// 1 where they differ.
pub(crate) async fn run(context: &Context, args: &TemplateDiffer) -> Outcome {
    let which = OneTemplate { template: args.template.clone(), namespace: args.namespace.clone(), version: None };
    let (old, new) = match (&args.old, &args.new) {
        (Some(only), None) if is_file(only) => (None, Some(only)),
        (old, new) => (old.as_ref(), new.as_ref()),
    };
    let old = match old {
        None => Ok(stored(context, &which).await?),
        Some(old) => side(context, &which, old).await?,
    };
    let new = match new {
        None => Ok(own(context, &which)?),
        Some(new) => side(context, &which, new).await?,
    };
    let (old, new) = match (old, new) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(refused), _) | (_, Err(refused)) => return refused,
    };
    let diff = old.template.diff(&new.template);
    match context.screen.format() {
        Format::Table if diff.is_empty() => {
            context.screen.status(format!("{} and {} say the same", old.from, new.from));
        }
        Format::Table => context.screen.data(text(&old, &new, &diff))?,
        Format::Id if diff.is_empty() => {}
        Format::Id => context.screen.data(steps(&diff).join("\n"))?,
        _ => context.screen.document(&document(&old, &new, &diff))?,
    }
    Ok(if diff.is_empty() { Exit::Ok } else { Exit::Other })
}

/// What a word names: a file, or a version that is stored. A file may be wrong.
async fn side(context: &Context, which: &OneTemplate, word: &str) -> Result<Result<Side, Outcome>, Problem> {
    if is_file(word) {
        return read(context, word);
    }
    let version = OneTemplate {
        template: which.template.clone(),
        namespace: which.namespace.clone(),
        version: Some(word.to_owned()),
    };
    Ok(Ok(stored(context, &version).await?))
}

/// What this program has, the newest version of it.
fn own(context: &Context, which: &OneTemplate) -> Result<Side, Problem> {
    let loaded = context.templates().loaded.into_iter().map(|loaded| loaded.parsed.template);
    let admits = |template: &Template| {
        template.name == which.template && which.namespace.as_ref().is_none_or(|wanted| *wanted == template.namespace)
    };
    let number = |template: &Template| -> Vec<u64> {
        template.version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    match loaded.filter(admits).max_by_key(number) {
        Some(template) => Ok(Side { from: format!("{} of this program", template.version), template }),
        None => Err(Problem::new("E201", format!("this program has no template `{}`", which.template))
            .with_help("name two versions that are stored, or a version and a file")),
    }
}

/// Whether a word names a file: no version has a slash or ends like one.
fn is_file(text: &str) -> bool {
    let ends = ["yaml", "yml", "json"];
    text.contains('/') || Path::new(text).extension().is_some_and(|end| ends.iter().any(|known| end == *known))
}

/// The content that new tasks of a version take.
async fn stored(context: &Context, which: &OneTemplate) -> Result<Side, Problem> {
    let store = open_store(context, Missing::Refuse).await?;
    let all = store.list_templates().await?;
    let mut namespaces: Vec<&str> = all
        .iter()
        .filter(|stored| stored.name == which.template)
        .map(|stored| stored.namespace.as_str())
        .filter(|namespace| which.namespace.as_ref().is_none_or(|wanted| wanted == namespace))
        .collect();
    namespaces.dedup();
    let found = match namespaces.as_slice() {
        [] => None,
        [namespace] => store.find_template(namespace, &which.template, which.version.as_deref()).await?,
        several => {
            let message = format!("template `{}` is in several namespaces: {}", which.template, several.join(", "));
            return Err(Problem::new("E309", message).with_help("say which one with --namespace"));
        }
    };
    store.close().await?;
    match found {
        Some(pinned) => {
            Ok(Side { from: format!("{} as stored", pinned.template.version), template: pinned.template.clone() })
        }
        None => Err(unknown(context, which, all.into_iter().map(|stored| stored.name).collect())),
    }
}

/// The template in a file, or what is wrong with it.
fn read(context: &Context, file: &str) -> Result<Result<Side, Outcome>, Problem> {
    let mut read = Templates::read_files(&[PathBuf::from(file)], context.settings.env.as_deref());
    if !read.refused.is_empty() {
        let mut report = Report::default();
        report.templates(context, &read);
        return Ok(Err(report.tell(context, &counted(1, "template"))));
    }
    let loaded = read.loaded.pop().ok_or_else(|| Problem::new("E308", format!("{file} has no template")))?;
    Ok(Ok(Side { template: loaded.parsed.template, from: loaded.file }))
}

/// The names of the steps of which something is otherwise.
fn steps(diff: &TemplateDiff) -> Vec<&str> {
    let edges = diff.edges_added.iter().chain(&diff.edges_removed).map(|edge| &edge.to);
    let changed = diff.changed.iter().map(|change| &change.step);
    let names = diff.added.iter().chain(&diff.removed).chain(changed).chain(edges);
    let mut names: Vec<&str> = names.map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn text(old: &Side, new: &Side, diff: &TemplateDiff) -> String {
    let (before, after) = (human::visible(&old.from), human::visible(&new.from));
    let mut out = format!("{BOLD}{}{BOLD:#} {before} → {after}", human::visible(&new.template.name));
    for change in &diff.keys {
        _ = write!(out, "\n{WARN}~{WARN:#} {}", key(change));
    }
    for step in &diff.removed {
        _ = write!(out, "\n{BAD}- step {step}{BAD:#}");
    }
    for step in &diff.added {
        _ = write!(out, "\n{GOOD}+ step {step}{GOOD:#}");
    }
    for change in &diff.changed {
        _ = write!(out, "\n{WARN}~{WARN:#} step {BOLD}{}{BOLD:#}", change.step);
        for change in &change.keys {
            _ = write!(out, "\n    {}", key(change));
        }
    }
    for edge in &diff.edges_removed {
        _ = write!(out, "\n{BAD}- {} → {}{BAD:#}", edge.from, edge.to);
    }
    for edge in &diff.edges_added {
        _ = write!(out, "\n{GOOD}+ {} → {}{GOOD:#}", edge.from, edge.to);
    }
    if diff.reordered {
        _ = write!(out, "\n{WARN}~{WARN:#} the steps stand in another order");
    }
    out
}

fn key(change: &KeyChange) -> String {
    let value = |value: &Option<Value>| match value {
        None => format!("{DIM}not set{DIM:#}"),
        Some(value) => cut(&human::visible(&value.to_string())),
    };
    let (old, new) = (value(&change.old), value(&change.new));
    format!("{}: {BAD}{old}{BAD:#} → {GOOD}{new}{GOOD:#}", human::visible(&change.key))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= VALUE_CHARACTERS_MAX {
        return text.to_owned();
    }
    text.chars().take(VALUE_CHARACTERS_MAX - 1).chain(['…']).collect()
}

fn document(old: &Side, new: &Side, diff: &TemplateDiff) -> Value {
    let side = |side: &Side| json!({ "version": side.template.version, "from": side.from });
    json!({
        "name": new.template.name,
        "namespace": new.template.namespace,
        "old": side(old),
        "new": side(new),
        "same": diff.is_empty(),
        "diff": diff,
    })
}
