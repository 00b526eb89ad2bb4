//! `task`: what became of tasks, and what an operator does to them.

mod act;
mod bulk;
mod rerun;
mod show;

use std::time::Duration;

use serde_json::Value;
use tasker_types::{TaskState, Timestamp};

pub(crate) use self::act::{explained, run as act_on, said};
use self::show::show;
use super::args::{self, Format, Task, TaskList};
use super::document::ListedDocument;
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::progress::{Progress, mark_of, words};
use super::run::finish;
use super::screen::DIM;
use super::session::{Missing, Role, Session, open_store};
use super::table::{Cell, Table};
use super::watch::{Bounds, Watched, view, watch};
use super::{Context, Outcome, ids, signals};
use crate::core::Act;
use crate::engine::Clock;
use crate::store::{ListedTask, Page, Store, TaskFilter};

/// Runs the command.
pub(crate) async fn run(context: Context, verb: Task) -> Outcome {
    match verb {
        Task::List(args) => list(&context, args).await,
        Task::Show(args) => show(&context, &args.task).await,
        Task::Watch(args) => watch_one(&context, &args).await,
        Task::Retry(args) => act::retry(&context, &args).await,
        Task::Rerun(args) => rerun::run(&context, &args).await,
        Task::Pause(args) => act::run(&context, &args, Act::Pause).await,
        Task::Resume(args) => act::run(&context, &args, Act::Resume).await,
        Task::Cancel(args) => act::run(&context, &args, Act::Cancel).await,
        Task::Resolve(args) => act::run(&context, &args, Act::Resolve).await,
    }
}

async fn list(context: &Context, args: TaskList) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let before = match &args.before {
        Some(text) => Some(ids::find(&*store, text).await?),
        None => None,
    };
    let tasks = store.list_tasks(args.filter.into(), Page { before, limit: args.limit }).await?;
    match context.screen.format() {
        Format::Table => {
            table(context, &*store, &tasks).await?;
            tell_older(context, &*store, &tasks, args.limit, "task list").await?;
        }
        Format::Id if tasks.is_empty() => {}
        Format::Id => context.screen.data(lines(tasks.iter().map(|listed| listed.row.id)))?,
        _ => {
            let documents: Result<Vec<Value>, _> =
                tasks.iter().map(|listed| serde_json::to_value(ListedDocument::of(listed))).collect();
            context.screen.documents(&documents.map_err(|error| Problem::new("E316", error.to_string()))?)?;
        }
    }
    Ok(Exit::Ok)
}

pub(crate) fn lines(items: impl Iterator<Item = impl std::fmt::Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join("\n")
}

pub(crate) async fn table(context: &Context, store: &dyn Store, tasks: &[ListedTask]) -> Result<(), Problem> {
    if tasks.is_empty() {
        context.screen.status(format!("no such task; `{}` starts one", context.program.command("run <template>")));
        return Ok(());
    }
    let now = Clock::System.now();
    let mut table = Table::new(&["  TASK", "TEMPLATE", "STATE", "STEPS", "ACCEPTED", "TOOK"]);
    for ListedTask { row, total_steps, starts_at } in tasks {
        let (mark, style) = mark_of(row.state);
        let template = &row.pinned.template;
        let done = total_steps.saturating_sub(row.open_steps);
        let took = row.finished_at.map(|end| human::duration(end.since(row.created_at))).unwrap_or_default();
        table.row([
            Cell::styled(format!("{mark} {}", ids::short(store, row.id).await?), style),
            template.name.as_str().into(),
            Cell::styled(starts_at.map_or_else(|| words(row.state).to_owned(), |at| human::starts(at, now)), style),
            format!("{done}/{total_steps}").into(),
            Cell::styled(human::ago(row.created_at, now), DIM),
            took.into(),
        ]);
    }
    context.screen.data(table)
}

/// Where a list was cut, how it goes on.
pub(crate) async fn tell_older(
    context: &Context,
    store: &dyn Store,
    tasks: &[ListedTask],
    limit: u32,
    list: &str,
) -> Result<(), Problem> {
    let Some(last) = tasks.last().filter(|_| tasks.len() >= usize::try_from(limit).unwrap_or(usize::MAX)) else {
        return Ok(());
    };
    let more = format!("{list} --before {}", ids::short(store, last.row.id).await?);
    context.screen.status(format!("{DIM}older ones: `{}`{DIM:#}", context.program.command(&more)));
    Ok(())
}

async fn watch_one(context: &Context, args: &args::Watch) -> Outcome {
    let mut session = Session::open(context, Missing::Refuse, Role::Client).await?;
    let task = ids::find(&*session.store, &args.task).await?;
    let short = ids::short(&*session.store, task).await?;
    let bounds = Bounds { timeout: args.timeout.map(Duration::from_secs_f64), signals: signals::listen() };
    let seen = view(&session, task).await?;
    let mut progress = Progress::begin(context.screen, &seen, &short);
    if !seen.row.state.is_over() && seen.row.state != TaskState::Paused && !session.has_worker().await? {
        let dev = context.program.command("dev");
        context.screen.status(format!("no worker runs on this database: the task waits for `{dev}`"));
    }
    let watched = watch(context, &mut session, task, &mut progress, &bounds, Role::Client).await?;
    let seen = view(&session, task).await?;
    match watched {
        Watched::Over(_) => progress.end(&seen, session.engine.clock().now()),
        _ => drop(progress),
    }
    let outcome = finish(context, &session, &seen, watched, false, &short);
    session.close().await;
    outcome
}

impl From<args::Filter> for TaskFilter {
    fn from(filter: args::Filter) -> Self {
        let args::Filter { state: states, template, namespace, step, error } = filter;
        Self { states, template, namespace, step, error }
    }
}

/// A moment, and how long ago it was.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", human::ago(at, now))
}
