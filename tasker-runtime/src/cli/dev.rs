//! `dev`: the worker of this project, until a signal stops it.

use std::time::Duration;

use tasker_types::{TaskId, TaskState};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::args::Dev;
use super::database::Database;
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::progress::{mark_of, words};
use super::screen::{BOLD, DIM};
use super::session::{Missing, Role, Session, open_store};
use super::{Context, Outcome, ids, recovery, signals, startup};
use crate::app::templates::Templates;
use crate::pause::jittered;
use crate::store::StoreError;

/// Ends of tasks that are told one by one, in each [`BREATH`]; more are only counted.
const TOLD_AT_ONCE: u64 = 20;
const BREATH: Duration = Duration::from_millis(500);
/// A drain that takes longer is told.
const NOTICEABLE: Duration = Duration::from_millis(300);
/// The first and the longest pause between two looks for a server.
const REACH_FIRST: Duration = Duration::from_millis(100);
const REACH_MAX: Duration = Duration::from_secs(5);
/// The code of a database that does not answer.
const AWAY: &str = "D001";
/// Names that are listed.
const LISTED: usize = 8;

/// Runs the command.
pub(crate) async fn run(mut context: Context, args: Dev) -> Outcome {
    if let Some(slots) = args.slots {
        context.settings.options.slots = usize::try_from(slots).unwrap_or(usize::MAX);
    }
    let templates = startup::check(&context)?;
    let signals = signals::listen();
    let Some(store) = reach(&context, &signals).await? else { return Ok(Exit::Ok) };
    let mut session = Session::on(&context, store, Role::Worker)?;
    if !session.join().await? {
        return Err(StoreError::Locked(context.settings.database.to_string()).into());
    }
    startup::store(&session.engine, &templates).await?;
    introduce(&context, &session, &templates).await?;
    let mut ends = session.engine.ends();
    recovery::start_worker(&context, &session).await?;
    context.screen.status(format!("{BOLD}ready{BOLD:#}; {DIM}Ctrl-C stops{DIM:#}"));
    let mut breath = tokio::time::interval(BREATH);
    let (mut told, mut more) = (0, Tally::default());
    loop {
        tokio::select! {
            () = signals.cancelled() => break,
            end = ends.recv(), if context.screen.tells() => match end {
                Ok((task, state)) if told < TOLD_AT_ONCE => {
                    told += 1;
                    // What cannot be told does not stop the worker.
                    if let Err(problem) = tell_end(&context, &session, task, state).await {
                        tracing::warn!(%task, "{}", problem.message);
                    }
                }
                Ok((_, state)) => more.add(state),
                Err(RecvError::Lagged(missed)) => more.unseen += missed,
                Err(RecvError::Closed) => break,
            },
            _ = breath.tick() => {
                told = 0;
                more.tell(&context);
            }
        }
    }
    more.tell(&context);
    stop(&context, session).await;
    Ok(Exit::Ok)
}

/// Opens the database. A server that does not answer yet, as when machines start in any order, is waited for; none where a
/// signal came first.
async fn reach(context: &Context, signals: &CancellationToken) -> Result<Option<Database>, Problem> {
    let mut pause = REACH_FIRST;
    loop {
        let problem = match open_store(context, Missing::Make).await {
            Ok(store) => return Ok(Some(store)),
            Err(problem) => problem,
        };
        let may_come = problem.code == AWAY && context.settings.database.is_on_server();
        if !may_come {
            return Err(problem);
        }
        if pause == REACH_FIRST {
            context.screen.status(format!("waiting for the database: {}; Ctrl-C stops", problem.message));
        }
        // Those who failed together do not come back together.
        tokio::select! {
            () = signals.cancelled() => return Ok(None),
            () = tokio::time::sleep(jittered(pause)) => pause = (pause * 2).min(REACH_MAX),
        }
    }
}

/// Ends of tasks that are not told one by one.
#[derive(Debug, Default)]
struct Tally {
    completed: u64,
    failed: u64,
    cancelled: u64,
    unseen: u64,
}

impl Tally {
    fn add(&mut self, state: TaskState) {
        match state {
            TaskState::Failed => self.failed += 1,
            TaskState::Cancelled => self.cancelled += 1,
            _ => self.completed += 1,
        }
    }

    fn tell(&mut self, context: &Context) {
        let Self { completed, failed, cancelled, unseen } = std::mem::take(self);
        let mut parts = Vec::new();
        for (number, what) in [(completed, "completed"), (failed, "failed"), (cancelled, "cancelled"), (unseen, "over")]
        {
            if number > 0 {
                parts.push(format!("{} more {what}", human::count(number, "task")));
            }
        }
        if !parts.is_empty() {
            context.screen.status(format!("{DIM}{}{DIM:#}", parts.join(", ")));
        }
    }
}

/// Says what this worker has.
async fn introduce(context: &Context, session: &Session, templates: &Templates) -> Result<(), Problem> {
    let screen = context.screen;
    let line = |name: &str, value: &str| screen.status(format!("  {DIM}{name:12}{DIM:#}{value}"));
    screen.status(format!("{BOLD}{} {}{BOLD:#}", context.program.name, env!("CARGO_PKG_VERSION")));
    let counts = session.store.counts().await?;
    let path = &context.settings.database;
    line(
        "database",
        &format!(
            "{path} {DIM}({}, {} failed){DIM:#}",
            human::count(counts.open_tasks, "open task"),
            counts.failed_tasks
        ),
    );
    let names: Vec<String> = templates
        .loaded
        .iter()
        .map(|loaded| &loaded.parsed.template)
        .map(|template| format!("{} {DIM}{}{DIM:#}", template.name, template.version))
        .collect();
    line("templates", &listed(&names, "none"));
    line("handlers", &listed(&context.registry.list_handlers(), "none: this program runs no steps"));
    let all = session.store.queues().await?;
    let unknown: Vec<String> = all
        .iter()
        .filter(|queue| !context.registry.is_registered(&queue.handler))
        .map(|queue| format!("`{}`", queue.handler))
        .collect();
    if !unknown.is_empty() {
        screen.warn(format!(
            "templates in the database need handlers that this program does not have: {}; their steps wait",
            listed(&unknown, "")
        ));
    }
    Ok(())
}

fn listed(names: &[String], none: &str) -> String {
    match names.len() {
        0 => none.to_owned(),
        number if number <= LISTED => names.join(", "),
        number => format!("{} and {} more", names[..LISTED].join(", "), number - LISTED),
    }
}

async fn tell_end(context: &Context, session: &Session, task: TaskId, state: TaskState) -> Result<(), Problem> {
    // A task that was pruned meanwhile has nothing left to tell.
    let Some(view) = session.store.find_task(task).await? else { return Ok(()) };
    let short = ids::short(&*session.store, task).await?;
    let (mark, style) = mark_of(state);
    let took = view.row.finished_at.map(|end| human::duration(end.since(view.row.created_at))).unwrap_or_default();
    let name = &view.row.pinned.template.name;
    context.screen.status(format!("{style}{mark}{style:#} {name} {short} {} in {took}", words(state)));
    Ok(())
}

/// Stops the worker; where handlers still run, says what is waited for.
pub(crate) async fn stop(context: &Context, session: Session) {
    let store = session.store.clone();
    let closing = session.close();
    tokio::pin!(closing);
    tokio::select! {
        () = &mut closing => {}
        () = tokio::time::sleep(NOTICEABLE) => {
            let running = store.counts().await.map_or(0, |counts| counts.running_steps);
            context.screen.status(format!(
                "waiting for {} to end; a second Ctrl-C gives up at once",
                human::count(running, "running step")
            ));
            closing.await;
        }
    }
    context.screen.status("stopped");
}
