//! `db`: the database itself.

use serde::Serialize;
use serde_json::json;

use super::args::{Db, Format};
use super::database::{Database, Facts};
use super::exit::Exit;
use super::human;
use super::screen::DIM;
use super::session::{Missing, open_store};
use super::{Context, Outcome};
use crate::store::Counts;

/// What there is to know about a database.
#[derive(Debug, Serialize)]
pub(crate) struct Info {
    pub(crate) path: String,
    /// What it takes, in bytes.
    pub(crate) bytes: u64,
    pub(crate) worker_runs: bool,
    /// Who they are.
    pub(crate) workers: Vec<String>,
    #[serde(flatten)]
    pub(crate) facts: Facts,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) templates: usize,
}

/// Runs the command.
pub(crate) async fn run(context: Context, verb: Db) -> Outcome {
    match verb {
        Db::Migrate => migrate(&context).await,
        Db::Info => info(&context).await,
    }
}

async fn migrate(context: &Context) -> Outcome {
    let path = context.settings.database.to_string();
    let existed = context.settings.database.is_there();
    let store = open_store(context, Missing::Make).await?;
    let facts = store.facts().await?;
    let what = if existed { "is up to date" } else { "was made" };
    context.screen.status(format!("{path} {what}: schema version {}", facts.schema_version()));
    match context.screen.format() {
        Format::Table => {}
        Format::Id => context.screen.data(&path)?,
        _ => context
            .screen
            .document(&json!({ "path": path, "schema_version": facts.schema_version(), "made": !existed }))?,
    }
    store.close().await?;
    Ok(Exit::Ok)
}

async fn info(context: &Context) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let info = read(context, &store).await?;
    match context.screen.format() {
        Format::Table => context.screen.data(text(&info))?,
        Format::Id => context.screen.data(&info.path)?,
        _ => context.screen.document(&info)?,
    }
    store.close().await?;
    Ok(Exit::Ok)
}

/// Everything that there is to know about an open database.
pub(crate) async fn read(context: &Context, store: &Database) -> Result<Info, super::Problem> {
    let facts = store.facts().await?;
    let workers = store.live_workers().await?;
    Ok(Info {
        path: context.settings.database.to_string(),
        bytes: store.bytes(&facts),
        worker_runs: !workers.is_empty(),
        workers: workers.into_iter().map(|worker| worker.label).collect(),
        facts,
        counts: store.counts().await?,
        templates: store.list_templates().await?.len(),
    })
}

/// Who runs steps, in words.
pub(crate) fn workers(info: &Info) -> String {
    match info.workers.as_slice() {
        [] => "none".to_owned(),
        [_] => "runs in another process".to_owned(),
        several => format!("{} run in other processes", several.len()),
    }
}

fn text(info: &Info) -> String {
    let Info { facts, counts, .. } = info;
    let line = |name: &str, value: String| format!("{DIM}{name:14}{DIM:#}{value}");
    [
        line("path", info.path.clone()),
        line("size", human::bytes(info.bytes)),
        line("schema", format!("version {}", facts.schema_version())),
        line(facts.kind().0, facts.kind().1),
        line("worker", workers(info)),
        line("templates", info.templates.to_string()),
        line("tasks", format!("{} open, {} failed", counts.open_tasks, counts.failed_tasks)),
        line(
            "steps",
            format!(
                "{} ready, {} running, {} waiting for a retry",
                counts.ready_steps, counts.running_steps, counts.waiting_steps
            ),
        ),
    ]
    .join("\n")
}
