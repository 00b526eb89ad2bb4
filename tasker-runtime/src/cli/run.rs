//! `run`: starts a task, waits for it where that is asked, and works itself where nobody else does.

use std::time::Duration;

use tasker_types::{IfExists, Start, TaskId, TaskRequest, TaskState};

use super::args::{Existing, Format, Run};
use super::document::{TaskDocument, final_result};
use super::exit::Exit;
use super::problem::Problem;
use super::progress::{Progress, error_text};
use super::screen::{BOLD, json_text};
use super::session::{Missing, Role, Session};
use super::watch::{Bounds, Watched, view, watch};
use super::{Context, Outcome, document, ids, input, recovery, signals, startup};
use crate::engine::Accepted;
use crate::store::{TaskView, starts_at};

/// Runs the command.
pub(crate) async fn run(context: Context, args: Run) -> Outcome {
    let request_context = input::read(&args.input, "--input")?;
    let templates = startup::check(&context)?;
    let waits = args.wait || args.watch;
    let role = if waits { Role::Worker } else { Role::Client };
    let mut session = Session::open(&context, Missing::Make, role).await?;
    let signals = signals::listen();
    startup::store(&session.engine, &templates).await?;
    let namespace = namespace(&session, &args).await?;
    if waits && session.take_right().await? {
        recovery::start_worker(&context, &session).await?;
    }
    let request = TaskRequest {
        name: args.template.clone(),
        namespace,
        version: args.version.clone().unwrap_or_default(),
        context: request_context,
        initiator: who(),
        source_system: "cli".to_owned(),
        reason: args.reason.clone(),
        priority: args.priority,
        correlation_id: None,
        idempotency_key: args.key.clone(),
        if_exists: match args.if_exists {
            Existing::Attach => IfExists::Attach,
            Existing::Conflict => IfExists::Conflict,
        },
        start: match (args.at, args.delay) {
            (Some(at), _) => Start::At(at),
            (None, Some(delay)) => Start::In(delay),
            (None, None) => Start::Now,
        },
        claim_timeout_seconds: args.claim_timeout_seconds,
    };
    let submitted = session.engine.accept(request).await;
    let outcome = match submitted {
        Err(error) => Err(error.into()),
        Ok(Accepted { task, is_new, .. }) if waits => {
            if !is_new {
                tell_attached(&context, &session, task).await?;
            }
            let bounds = Bounds { timeout: args.timeout.map(Duration::from_secs_f64), signals };
            wait(&context, &mut session, task, &bounds, args.wait).await
        }
        Ok(accepted) => tell(&context, &session, accepted).await,
    };
    session.close().await;
    outcome
}

/// Where the template is: in the namespace that is asked for, else in the default one, else in the only one that has it.
async fn namespace(session: &Session, args: &Run) -> Result<String, Problem> {
    const DEFAULT: &str = "default";
    if let Some(namespace) = &args.namespace {
        return Ok(namespace.clone());
    }
    let all = session.store.list_templates().await?;
    let mut having: Vec<&str> =
        all.iter().filter(|stored| stored.name == args.template).map(|stored| stored.namespace.as_str()).collect();
    having.dedup();
    match having.as_slice() {
        // The engine says what templates there are.
        [] => Ok(DEFAULT.to_owned()),
        [only] => Ok((*only).to_owned()),
        several if several.contains(&DEFAULT) => Ok(DEFAULT.to_owned()),
        several => Err(Problem::new(
            "E309",
            format!("template `{}` is in several namespaces: {}", args.template, several.join(", ")),
        )
        .with_help("say which one with --namespace")),
    }
}

/// Who asks, for the record.
pub(crate) fn who() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|variable| std::env::var(variable).ok());
    let mut name = name.unwrap_or_default().replace('\0', "");
    name.truncate(name.floor_char_boundary(255));
    name
}

/// Says that the request means a task that there is.
async fn tell_attached(context: &Context, session: &Session, task: TaskId) -> Result<(), Problem> {
    let short = ids::short(&*session.store, task).await?;
    context.screen.status(format!("the same request was made before: this is its task {BOLD}{short}{BOLD:#}"));
    Ok(())
}

/// The task is stored; somebody else runs it, now or later.
async fn tell(context: &Context, session: &Session, Accepted { task, is_new, .. }: Accepted) -> Outcome {
    let view = view(session, task).await?;
    let name = &view.row.pinned.template.name;
    let short = ids::short(&*session.store, task).await?;
    let next = if view.row.state.is_over() {
        format!("look at it with `{}`", context.program.command(&format!("task show {short}")))
    } else if session.has_worker().await? {
        format!("watch it with `{}`", context.program.command(&format!("task watch {short}")))
    } else {
        format!("no worker runs on this database: the task waits for `{}`", context.program.command("dev"))
    };
    let starts = match starts_at(&view) {
        Some(at) if is_new => format!(", which starts at {at}"),
        _ => String::new(),
    };
    let what = if is_new { "submitted" } else { "submitted before:" };
    context.screen.status(format!("{what} {BOLD}{name}{BOLD:#} {short}{starts}; {next}"));
    match context.screen.format() {
        Format::Table | Format::Id => context.screen.data(task)?,
        _ => context.screen.document(&TaskDocument::of(&view))?,
    }
    Ok(Exit::Ok)
}

/// Waits for the end of a task, shows it as it goes on, and prints what became of it.
pub(crate) async fn wait(
    context: &Context,
    session: &mut Session,
    task: TaskId,
    bounds: &Bounds,
    result: bool,
) -> Outcome {
    let short = ids::short(&*session.store, task).await?;
    let mut progress = Progress::begin(context.screen, &view(session, task).await?, &short);
    let watched = watch(context, session, task, &mut progress, bounds, Role::Worker).await?;
    let seen = view(session, task).await?;
    match watched {
        Watched::Over(_) => progress.end(&seen, session.engine.clock().now()),
        _ => drop(progress),
    }
    finish(context, session, &seen, watched, result, &short)
}

/// Prints what became of a task that was waited for.
pub(crate) fn finish(
    context: &Context,
    session: &Session,
    seen: &TaskView,
    watched: Watched,
    result: bool,
    short: &str,
) -> Outcome {
    let goes_on = if session.right.is_some() {
        format!("the task is safe, and goes on with the next worker: `{}`", context.program.command("dev"))
    } else {
        format!("the task goes on; watch it with `{}`", context.program.command(&format!("task watch {short}")))
    };
    let state = match watched {
        Watched::Over(state) => state,
        Watched::TimedOut => {
            return Err(Problem::new("E322", format!("task {short} was not over in time")).with_help(goes_on));
        }
        Watched::Interrupted => return Err(Problem::new("E323", "interrupted").with_help(goes_on)),
    };
    match context.screen.format() {
        Format::Id => context.screen.data(seen.row.id)?,
        Format::Table if !result => {}
        Format::Table if state == TaskState::Completed => context.screen.data(json_text(&final_result(seen), true)?)?,
        Format::Table => {}
        _ => context.screen.document(&TaskDocument::of(seen))?,
    }
    match state {
        TaskState::Failed => Err(failed(context, seen, short)),
        TaskState::Cancelled => Err(Problem::new("E321", format!("task {short} was cancelled"))),
        _ => Ok(Exit::Ok),
    }
}

fn failed(context: &Context, seen: &TaskView, short: &str) -> Problem {
    let failed: Vec<String> = seen
        .steps
        .iter()
        .filter(|step| step.state == tasker_types::StepState::Failed)
        .filter_map(|step| {
            let error = document::error_of(step)?;
            Some(format!("step `{}`: {}", step.name, error_text(error.error_type.as_deref(), &error.message)))
        })
        .collect();
    Problem::new("E320", format!("task {short} failed\n{}", failed.join("\n"))).with_help(format!(
        "when the cause is put right, try its failed steps again: `{}`",
        context.program.command(&format!("task retry {short}"))
    ))
}
