//! `step`: one step of a task, and what an operator does to it.

mod act;

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use tasker_types::suggest::nearest;
use tasker_types::{StepNumber, Timestamp};

use self::act::Hand;
use super::args::{Format, OneStep, Step};
use super::document::{ErrorDocument, StepDocument, error_in, error_of, step_of};
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::progress::{bound_of, error_text, is_held, mark_of_step, words_of_step};
use super::screen::{BOLD, DIM, json_text};
use super::session::{Missing, open_store};
use super::skip::Skip;
use super::table::{Cell, Table};
use super::task::moment;
use super::{Context, Outcome, ids, input};
use crate::engine::{Clock, Error};
use crate::store::{AttemptView, StepView, TaskView};

/// A step with everything that happened to it.
#[derive(Debug, Serialize)]
struct FullStep<'v> {
    task_uuid: uuid::Uuid,
    step_uuid: uuid::Uuid,
    handler: &'v str,
    #[serde(flatten)]
    step: StepDocument<'v>,
    metadata: Option<Value>,
    /// There only where an attempt has saved how far it had come.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Saved<'v>>,
    history: Vec<Attempt>,
}

/// How far a step had come when an attempt of it said so last.
#[derive(Debug, Serialize)]
struct Saved<'v> {
    attempt: u32,
    value: &'v Value,
    saved_at: Timestamp,
}

/// An attempt that did not end its step.
#[derive(Debug, Serialize)]
pub(crate) struct Attempt {
    attempt: u32,
    outcome: &'static str,
    started_at: Option<Timestamp>,
    finished_at: Timestamp,
    retry_at: Option<Timestamp>,
    error: Option<ErrorDocument>,
}

/// Runs the command.
pub(crate) async fn run(context: Context, verb: Step) -> Outcome {
    match verb {
        Step::Show(which) => show(&context, &which).await,
        Step::Retry(args) => act::run(&context, &args, Hand::Retry).await,
        Step::Skip(args) => act::run(&context, &args, Hand::Skip).await,
        Step::Resolve(args) => act::run(&context, &args, Hand::Resolve).await,
        Step::Complete { acting, result } => {
            let result = input::read(&result, "--result")?;
            act::run(&context, &acting, Hand::Complete(result)).await
        }
    }
}

async fn show(context: &Context, which: &OneStep) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let id = ids::find(&*store, &which.task).await?;
    let view = store.find_task(id).await?.ok_or_else(|| Error::NoTask(id.to_string()))?;
    let found = number(&view, &which.step)?;
    let Some(step) = step_of(&view, found) else { return Ok(Exit::Other) };
    match context.screen.format() {
        Format::Table => context.screen.data(text(&view, step, Clock::System.now())?)?,
        Format::Id => context.screen.data(id.step_uuid(step.number))?,
        _ => context.screen.document(&full(&view, step))?,
    }
    Ok(Exit::Ok)
}

/// The step of this name.
pub(crate) fn number(view: &TaskView, name: &str) -> Result<StepNumber, Problem> {
    // A name can be that of a worker of a batch that was not made, or of the step that workers were made after.
    if let Some(number) = view.row.pinned.number(name).filter(|&number| step_of(view, number).is_some()) {
        return Ok(number);
    }
    let names = || view.steps.iter().map(|step| step.name.as_str());
    let problem = Problem::new("E310", format!("task {} has no step `{name}`", view.row.id));
    Err(match nearest(name, names()) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help(format!("its steps are {}", names().take(30).collect::<Vec<_>>().join(", "))),
    })
}

fn full<'v>(view: &'v TaskView, step: &'v StepView) -> FullStep<'v> {
    FullStep {
        task_uuid: view.row.id.uuid(),
        step_uuid: view.row.id.step_uuid(step.number),
        handler: &view.row.pinned.step(step.number).handler,
        step: StepDocument::of(view, step),
        metadata: step.detail.as_ref().and_then(|detail| detail.get("metadata").cloned()),
        checkpoint: step.checkpoint.as_ref().map(|saved| Saved {
            attempt: saved.attempt,
            value: &saved.value,
            saved_at: saved.saved_at,
        }),
        history: step.attempts.iter().map(attempt).collect(),
    }
}

pub(crate) fn attempt(view: &AttemptView) -> Attempt {
    Attempt {
        attempt: view.attempt,
        outcome: view.outcome.as_str(),
        started_at: view.claimed_at,
        finished_at: view.finished_at,
        retry_at: view.retry_at,
        error: view.detail.as_ref().and_then(error_in),
    }
}

fn text(view: &TaskView, step: &StepView, now: Timestamp) -> Result<String, Problem> {
    let (mark, style) = mark_of_step(step.state);
    let pinned = view.row.pinned.step(step.number);
    let mut out =
        format!("{style}{mark}{style:#} {BOLD}{}{BOLD:#}  {}\n", step.name, view.row.id.step_uuid(step.number));
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            _ = writeln!(out, "  {DIM}{name:12}{DIM:#}{value}");
        }
    };
    let held = if is_held(step, view) { ", held: the task is paused" } else { "" };
    fact("state", &format!("{style}{}{style:#}{held}", words_of_step(step.state)));
    fact("because", &Skip::of(view, step).map(|skip| skip.to_string()).unwrap_or_default());
    fact("handler", &pinned.handler);
    let bound = bound_of(step, &pinned.retry).map(|most| format!(" of at most {most}"));
    if step.attempt > 0 {
        fact("attempt", &format!("{}{}", step.attempt, bound.unwrap_or_default()));
    }
    fact("timeout", &human::duration(pinned.timeout));
    fact("ready", &step.ready_at.map(|at| moment(at, now)).unwrap_or_default());
    fact("started", &step.claimed_at.map(|at| moment(at, now)).unwrap_or_default());
    fact("finished", &step.finished_at.map(|at| moment(at, now)).unwrap_or_default());
    fact("worker", &step.worker.map(|worker| worker.to_string()).unwrap_or_default());
    if let Some(saved) = &step.checkpoint {
        let value = human::visible(&json_text(&saved.value, false)?);
        fact("checkpoint", &format!("{value} by attempt {}, {}", saved.attempt, moment(saved.saved_at, now)));
    }
    if step.is_copied {
        fact("kept", "its result is that of the task which is run again");
    }
    if !step.attempts.is_empty() {
        _ = write!(out, "\n{}\n", attempts(step));
    }
    if let Some(error) = error_of(step) {
        let kind = error.error_type.unwrap_or_default();
        let code = error.error_code.map(|code| format!(" [{}]", human::visible(&code))).unwrap_or_default();
        _ = write!(
            out,
            "\n{style}{}{code}{style:#}\n{}\n",
            human::visible(&kind),
            human::visible_lines(&error.message)
        );
    }
    if let Some(result) = &step.result {
        _ = write!(out, "\n{}\n", json_text(result, true)?);
    }
    Ok(out.trim_end().to_owned())
}

/// The attempts that did not end a step.
pub(crate) fn attempts(step: &StepView) -> Table {
    let mut table = Table::new(&["  ATTEMPT", "OUTCOME", "TOOK", "ERROR"]);
    for attempt in &step.attempts {
        let took = attempt.claimed_at.map(|from| human::duration(attempt.finished_at.since(from)));
        let error = attempt.detail.as_ref().and_then(error_in);
        let error = error.map(|error| error_text(error.error_type.as_deref(), &error.message));
        table.row([
            format!("  {}", attempt.attempt).into(),
            Cell::from(attempt.outcome.as_str().replace('_', " ")),
            took.unwrap_or_default().into(),
            error.unwrap_or_default().into(),
        ]);
    }
    table
}
