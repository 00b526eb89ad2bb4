//! What an operator does to one task.

use serde_json::json;
use tasker_types::{TaskId, TaskState};

use super::super::args::{Acting, Format, Retry};
use super::super::exit::Exit;
use super::super::problem::Problem;
use super::super::progress::{mark_of, words};
use super::super::run::who;
use super::super::screen::BOLD;
use super::super::session::{Missing, Role, Session};
use super::super::step::number;
use super::super::watch::view;
use super::super::{Context, Outcome, ids};
use super::bulk;
use crate::core::{Act, Reply};
use crate::engine::Engine;

/// Tries failed steps again: all of them, or one.
pub(super) async fn retry(context: &Context, args: &Retry) -> Outcome {
    let Retry { target, step } = args;
    let Some(task) = &target.task else { return bulk::run(context, target, step.as_ref(), Act::Retry(None)).await };
    let session = Session::open(context, Missing::Refuse, Role::Client).await?;
    let task = ids::find(&*session.store, task).await?;
    let step = match step {
        Some(name) => Some(number(&view(&session, task).await?, name)?),
        None => None,
    };
    carry_out(context, session, task, Act::Retry(step), &target.reason).await
}

/// Does anything else, after asking where it cannot be taken back.
pub(crate) async fn run(context: &Context, args: &Acting, act: Act) -> Outcome {
    let Acting { target, step } = args;
    let Some(task) = &target.task else { return bulk::run(context, target, step.as_ref(), act).await };
    let session = Session::open(context, Missing::Refuse, Role::Client).await?;
    let task = ids::find(&*session.store, task).await?;
    Engine::check_action(&act, &who(), &target.reason)?;
    if let Some(verb) = ends(&act) {
        let seen = view(&session, task).await?;
        let name = &seen.row.pinned.template.name;
        if !context.agrees(&format!("{verb} {name} {task}, which is {}?", seen.row.state))? {
            context.screen.status("nothing was done");
            return Ok(Exit::Ok);
        }
    }
    carry_out(context, session, task, act, &target.reason).await
}

/// The verb of what ends a task for good.
fn ends(act: &Act) -> Option<&'static str> {
    match act {
        Act::Cancel => Some("cancel"),
        Act::Resolve => Some("resolve"),
        _ => None,
    }
}

async fn carry_out(context: &Context, session: Session, task: TaskId, act: Act, reason: &str) -> Outcome {
    let rest = rest(context, &session, task, &act).await?;
    let outcome = match session.engine.act(task, act, &who(), reason).await {
        Ok(reply) => acted(context, &session, reply, &rest).await,
        Err(error) => Err(explained(context, error.into(), task)),
    };
    session.close().await;
    outcome
}

/// What goes on in a task that is not over after this.
async fn rest(context: &Context, session: &Session, task: TaskId, act: &Act) -> Result<String, Problem> {
    Ok(match act {
        Act::Pause => {
            let resume = format!("task resume {}", ids::short(&*session.store, task).await?);
            format!(
                "what runs goes on to its end, and nothing else starts before `{}`",
                context.program.command(&resume)
            )
        }
        Act::Resume => "it goes on".to_owned(),
        Act::Cancel => "what still runs is told to stop".to_owned(),
        _ => "its failed steps are tried again".to_owned(),
    })
}

/// Adds where to look to a refusal.
pub(crate) fn explained(context: &Context, problem: Problem, task: TaskId) -> Problem {
    if problem.code.starts_with("E1") {
        return problem
            .with_help(format!("look at it with `{}`", context.program.command(&format!("task show {task}"))));
    }
    problem
}

/// Tells what an action has made of the task.
async fn acted(context: &Context, session: &Session, reply: Reply, rest: &str) -> Outcome {
    let rest = if reply.state.is_over() { String::new() } else { format!("; {rest}") };
    said(context, session, reply, &rest).await?;
    match context.screen.format() {
        Format::Table => {}
        Format::Id => context.screen.data(reply.task)?,
        _ => context.screen.document(&json!({ "task_uuid": reply.task, "status": reply.state }))?,
    }
    Ok(Exit::Ok)
}

/// Says what the task is now, and whether anybody runs what goes on.
pub(crate) async fn said(context: &Context, session: &Session, reply: Reply, rest: &str) -> Result<(), Problem> {
    let short = ids::short(&*session.store, reply.task).await?;
    let (mark, style) = mark_of(reply.state);
    context.screen.status(format!("{style}{mark}{style:#} {BOLD}{short}{BOLD:#} is {}{rest}", words(reply.state)));
    let waits = !reply.state.is_over() && reply.state != TaskState::Paused;
    if waits && !session.has_worker().await? {
        let dev = context.program.command("dev");
        context.screen.status(format!("no worker runs on this database: the task waits for `{dev}`"));
    }
    Ok(())
}
