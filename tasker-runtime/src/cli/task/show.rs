//! `task show`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tasker_types::{StepState, TaskState, Timestamp};

use super::super::args::Format;
use super::super::batches::Batch;
use super::super::database::Database;
use super::super::document::{TaskDocument, error_of, step_name};
use super::super::exit::Exit;
use super::super::human;
use super::super::problem::Problem;
use super::super::progress::{bound_of, error_text, is_held, mark_of, mark_of_step, words, words_of_step};
use super::super::screen::{BOLD, DIM, json_text};
use super::super::session::{Missing, open_store};
use super::super::skip::Skip;
use super::super::table::{Cell, Table};
use super::super::{Context, Outcome, ids};
use super::moment;
use crate::core::RerunRow;
use crate::engine::{Clock, Error};
use crate::store::{StepView, TaskView, starts_at};

/// The most letters of a result or an error in a table.
const CELL_MAX: usize = 60;
/// The most reruns that are listed.
const RERUNS_MAX: usize = 10;
/// The most letters of a context.
const CONTEXT_MAX: usize = 400;

pub(super) async fn show(context: &Context, task: &str) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let id = ids::find(&*store, task).await?;
    let view = store.find_task(id).await?.ok_or_else(|| Error::NoTask(id.to_string()))?;
    match context.screen.format() {
        Format::Table => {
            context.screen.data(text(&view, Clock::System.now())?)?;
            tell_unserved(context, &store, &view).await?;
        }
        Format::Id => context.screen.data(id)?,
        _ => context.screen.document(&TaskDocument::of(&view))?,
    }
    Ok(Exit::Ok)
}

/// Says what a task waits for that goes on only when somebody does something: a resume, or a worker that nobody runs.
async fn tell_unserved(context: &Context, store: &Database, view: &TaskView) -> Result<(), Problem> {
    if view.row.state == TaskState::Paused {
        let resume = format!("task resume {}", ids::short(&**store, view.row.id).await?);
        context.screen.status(format!("paused: nothing of it starts before `{}`", context.program.command(&resume)));
        return Ok(());
    }
    let ready: Vec<_> = view.steps.iter().filter(|step| step.state == StepState::Ready).collect();
    if ready.is_empty() {
        return Ok(());
    }
    let workers = store.live_workers().await?;
    if workers.is_empty() {
        let dev = context.program.command("dev");
        context.screen.status(format!("no worker runs on this database: the task waits for `{dev}`"));
        return Ok(());
    }
    // Of many workers of one batch, one line tells all.
    let mut told = BTreeSet::new();
    for step in ready {
        let pinned = view.row.pinned.step(step.number);
        if !told.insert(view.row.pinned.template_step(step.number)) {
            continue;
        }
        if !workers.iter().any(|worker| worker.queues.contains(&pinned.queue)) {
            let (handler, name) = (&pinned.handler, &step.name);
            context.screen.warn(format!("no live worker has handler `{handler}`, which step `{name}` waits for"));
        }
    }
    Ok(())
}

fn text(view: &TaskView, now: Timestamp) -> Result<String, Problem> {
    let (row, input) = (&view.row, &view.input);
    let template = &row.pinned.template;
    let (mark, style) = mark_of(row.state);
    let mut out = format!("{style}{mark}{style:#} {BOLD}{}{BOLD:#}  {}\n", template.name, row.id);
    let took = row.finished_at.map(|end| format!(" in {}", human::duration(end.since(row.created_at))));
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            _ = writeln!(out, "  {DIM}{name:12}{DIM:#}{value}");
        }
    };
    fact("state", &format!("{style}{}{style:#}{}", words(row.state), took.unwrap_or_default()));
    fact("template", &format!("{} {} in {}", template.name, template.version, template.namespace));
    fact("accepted", &moment(row.created_at, now));
    if let Some(at) = starts_at(view) {
        fact("starts", &format!("{at} ({})", human::starts(at, now)));
    }
    fact("by", &by(&input.initiator, &input.source_system));
    fact("reason", &human::visible(&input.reason));
    if row.priority != 0 {
        fact("priority", &row.priority.to_string());
    }
    if input.correlation_id != row.id.to_string() {
        fact("correlation", &human::visible(&input.correlation_id));
    }
    if let Some(timeout) = input.claim_timeout {
        fact("claims", &format!("count as lost after {}", human::duration(timeout)));
    }
    let name = |rerun: &RerunRow| human::visible(&row.pinned.name(rerun.from));
    if let Some(rerun) = &view.rerun_of {
        fact("rerun of", &format!("{}, from step `{}` on", rerun.source, name(rerun)));
    }
    for rerun in view.reruns.iter().take(RERUNS_MAX) {
        fact("rerun as", &format!("{}, from step `{}` on", rerun.task, name(rerun)));
    }
    if view.reruns.len() > RERUNS_MAX {
        fact("", &format!("and {} more times; `-o json` has all", view.reruns.len() - RERUNS_MAX));
    }
    fact("input", &shortened(&input.context, CONTEXT_MAX));
    out.push('\n');
    let mut table = Table::new(&["  STEP", "STATE", "ATTEMPT", "WAITED", "TOOK", "RESULT"]);
    for step in view.steps.iter().filter(|step| row.pinned.worker_index(step.number).is_none()) {
        table.row(step_row(step, view, now)?);
    }
    for batch in Batch::all(view) {
        table.row(batch_row(&batch));
        for worker in batch.shown() {
            table.row(step_row(worker, view, now)?);
        }
    }
    _ = write!(out, "{table}");
    if !view.actions.is_empty() {
        _ = write!(out, "\n\n{}", actions(view, now));
    }
    Ok(out)
}

/// How far the workers of a batch are, above those that are shown.
fn batch_row(batch: &Batch<'_>) -> [Cell; 6] {
    let more = match batch.hidden() {
        0 => String::new(),
        hidden => format!("{hidden} not shown; `-o json` has all"),
    };
    let empty = String::new;
    let count = Cell::styled(batch.count(), BOLD);
    [format!("⧉ {}", batch.name).into(), count, empty().into(), empty().into(), empty().into(), more.into()]
}

/// What operators did, in the order of time.
fn actions(view: &TaskView, now: Timestamp) -> Table {
    let mut table = Table::new(&["  ACTION", "STEP", "BY", "WHEN", "REASON"]);
    for action in &view.actions {
        // Whether a task or a step was resolved, the next column tells.
        let kind = if action.kind == "resolve_task" { "resolve" } else { action.kind };
        table.row([
            Cell::from(format!("  {kind}")),
            step_name(view, action).unwrap_or_default().into(),
            human::visible(&action.actor).into(),
            Cell::styled(moment(action.at, now), DIM),
            human::visible(&action.reason).into(),
        ]);
    }
    table
}

fn by(initiator: &str, source: &str) -> String {
    match (initiator.is_empty(), source.is_empty()) {
        (true, true) => String::new(),
        (true, false) => human::visible(source),
        (false, true) => human::visible(initiator),
        (false, false) => format!("{} ({})", human::visible(initiator), human::visible(source)),
    }
}

fn step_row(step: &StepView, view: &TaskView, now: Timestamp) -> Result<[Cell; 6], Problem> {
    let (mark, style) = mark_of_step(step.state);
    let attempt = match bound_of(step, &view.row.pinned.step(step.number).retry) {
        _ if step.attempt == 0 => String::new(),
        Some(most) => format!("{}/{most}", step.attempt),
        None => step.attempt.to_string(),
    };
    let starts_later = step.state == StepState::WaitingForRetry && step.attempt == 0;
    let state = if starts_later { "starts later".to_owned() } else { words_of_step(step.state) };
    let more = if step.is_copied { ", kept" } else { "" };
    let state = state + if is_held(step, view) { ", held" } else { more };
    let waited = step.ready_at.zip(step.claimed_at).map(|(ready, claimed)| human::duration(claimed.since(ready)));
    let took = step.claimed_at.map(|claimed| human::duration(step.finished_at.unwrap_or(now).since(claimed)));
    let skip = Skip::of(view, step).filter(|&skip| skip != Skip::Failed);
    let what = match (&step.result, error_of(step)) {
        (Some(result), _) => shortened(&json_text(result, false)?, CELL_MAX),
        _ if skip.is_some() => skip.map(|skip| skip.to_string()).unwrap_or_default(),
        (None, Some(error)) => shortened(&error_text(error.error_type.as_deref(), &error.message), CELL_MAX * 2),
        (None, None) => String::new(),
    };
    Ok([
        Cell::styled(format!("{mark} {}", step.name), style),
        Cell::styled(state, style),
        attempt.into(),
        waited.unwrap_or_default().into(),
        took.unwrap_or_default().into(),
        what.into(),
    ])
}

fn shortened(text: &str, most: usize) -> String {
    let visible = human::visible(text);
    if visible.chars().count() <= most {
        return visible;
    }
    let mut short: String = visible.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}
