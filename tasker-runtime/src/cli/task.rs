//! `task`: what became of tasks, and what an operator does to them.

mod show;

use std::time::Duration;

use serde_json::{Value, json};
use tasker_types::{TaskId, Timestamp};

use self::show::show;
use super::args::{self, Format, Task, TaskList};
use super::document::ListedDocument;
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::progress::{Progress, mark_of, words};
use super::run::{finish, who};
use super::screen::{BOLD, DIM};
use super::session::{Missing, Role, Session, open_store};
use super::table::{Cell, Table};
use super::watch::{Bounds, Watched, view, watch};
use super::{Context, Outcome, ids, signals};
use crate::core::Reply;
use crate::engine::Clock;
use crate::store::{ListedTask, Page, Store, TaskFilter};

/// Runs the command.
pub(crate) async fn run(context: Context, verb: Task) -> Outcome {
    match verb {
        Task::List(args) => list(&context, args).await,
        Task::Show(args) => show(&context, &args.task).await,
        Task::Watch(args) => watch_one(&context, &args).await,
        Task::Retry(args) => retry(&context, &args).await,
        Task::Cancel(args) => cancel(&context, &args).await,
    }
}

async fn list(context: &Context, args: TaskList) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let before = match &args.before {
        Some(text) => Some(ids::find(&*store, text).await?),
        None => None,
    };
    let filter = TaskFilter { states: args.state, template: args.template, namespace: args.namespace };
    let tasks = store.list_tasks(filter, Page { before, limit: args.limit }).await?;
    match context.screen.format() {
        Format::Table => table(context, &*store, &tasks, args.limit).await?,
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

async fn table(context: &Context, store: &dyn Store, tasks: &[ListedTask], limit: u32) -> Result<(), Problem> {
    if tasks.is_empty() {
        context.screen.status(format!("no such task; `{}` starts one", context.program.command("run <template>")));
        return Ok(());
    }
    let now = Clock::System.now();
    let mut table = Table::new(&["  TASK", "TEMPLATE", "STATE", "STEPS", "ACCEPTED", "TOOK"]);
    for ListedTask { row, total_steps } in tasks {
        let (mark, style) = mark_of(row.state);
        let template = &row.pinned.template;
        let done = total_steps.saturating_sub(row.open_steps);
        let took = row.finished_at.map(|end| human::duration(end.since(row.created_at))).unwrap_or_default();
        table.row([
            Cell::styled(format!("{mark} {}", ids::short(store, row.id).await?), style),
            template.name.as_str().into(),
            Cell::styled(words(row.state), style),
            format!("{done}/{total_steps}").into(),
            Cell::styled(human::ago(row.created_at, now), DIM),
            took.into(),
        ]);
    }
    context.screen.data(table)?;
    if tasks.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
        let last = tasks.last().map(|listed| listed.row.id);
        if let Some(last) = last {
            let more = format!("task list --before {}", ids::short(store, last).await?);
            context.screen.status(format!("{DIM}older ones: `{}`{DIM:#}", context.program.command(&more)));
        }
    }
    Ok(())
}

async fn watch_one(context: &Context, args: &args::Watch) -> Outcome {
    let mut session = Session::open(context, Missing::Refuse, Role::Client).await?;
    let task = ids::find(&*session.store, &args.task).await?;
    let short = ids::short(&*session.store, task).await?;
    let bounds = Bounds { timeout: args.timeout.map(Duration::from_secs_f64), signals: signals::listen() };
    let seen = view(&session, task).await?;
    let mut progress = Progress::begin(context.screen, &seen, &short);
    if !seen.row.state.is_over() && !session.has_worker().await? {
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

async fn retry(context: &Context, args: &args::Retry) -> Outcome {
    let session = Session::open(context, Missing::Refuse, Role::Client).await?;
    let task = ids::find(&*session.store, &args.task).await?;
    let step = match &args.step {
        Some(name) => Some(super::step::number(&view(&session, task).await?, name)?),
        None => None,
    };
    let reply = session.engine.retry(task, step, &who(), &args.reason).await.map_err(Problem::from);
    let outcome = match reply {
        Ok(reply) => acted(context, &session, reply, "its failed steps are tried again").await,
        Err(problem) => Err(explained(context, problem, task)),
    };
    session.close().await;
    outcome
}

async fn cancel(context: &Context, args: &args::Cancel) -> Outcome {
    let session = Session::open(context, Missing::Refuse, Role::Client).await?;
    let task = ids::find(&*session.store, &args.task).await?;
    let seen = view(&session, task).await?;
    let name = &seen.row.pinned.template.name;
    let question = format!("cancel {name} {task}, which is {}?", seen.row.state);
    if !context.agrees(&question)? {
        context.screen.status("nothing was done");
        return Ok(Exit::Ok);
    }
    let reply = session.engine.cancel(task, &who(), &args.reason).await.map_err(Problem::from);
    let outcome = match reply {
        Ok(reply) => acted(context, &session, reply, "what still runs is told to stop").await,
        Err(problem) => Err(explained(context, problem, task)),
    };
    session.close().await;
    outcome
}

fn explained(context: &Context, problem: Problem, task: TaskId) -> Problem {
    if problem.code.starts_with("E1") {
        return problem
            .with_help(format!("look at it with `{}`", context.program.command(&format!("task show {task}"))));
    }
    problem
}

/// Tells what an action has made of the task.
async fn acted(context: &Context, session: &Session, reply: Reply, over: &str) -> Outcome {
    let short = ids::short(&*session.store, reply.task).await?;
    let (mark, style) = mark_of(reply.state);
    let rest = if reply.state.is_over() { String::new() } else { format!("; {over}") };
    context.screen.status(format!("{style}{mark}{style:#} {BOLD}{short}{BOLD:#} is {}{rest}", words(reply.state)));
    if !reply.state.is_over() && !session.has_worker().await? {
        let dev = context.program.command("dev");
        context.screen.status(format!("no worker runs on this database: the task waits for `{dev}`"));
    }
    match context.screen.format() {
        Format::Table => {}
        Format::Id => context.screen.data(reply.task)?,
        _ => context.screen.document(&json!({ "task_uuid": reply.task, "status": reply.state }))?,
    }
    Ok(Exit::Ok)
}

/// A moment, and how long ago it was.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", human::ago(at, now))
}
