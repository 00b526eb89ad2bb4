//! `dlq`: dead letters, which are the tasks that failed: what they died of, and what an operator does about it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tasker_types::{StepState, TaskState, Timestamp};

use super::args::{DeadTask, Dlq, DlqList, Format, Grouping};
use super::document::{ErrorDocument, ListedDocument, error_of};
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::progress::{error_text, mark_of};
use super::screen::{BAD, BOLD, DIM};
use super::session::{Missing, open_store};
use super::step::{attempt, attempts};
use super::table::{Cell, Table};
use super::task::{act_on, lines, moment, tell_older};
use super::{Context, Outcome, ids};
use crate::core::Act;
use crate::engine::{Clock, Error};
use crate::store::{FAILED_TASKS_MAX, FailureGroup, ListedTask, Page, StepView, Store, TaskFilter, TaskView};

/// Runs the command.
pub(crate) async fn run(context: Context, verb: Dlq) -> Outcome {
    match verb {
        Dlq::List(args) => list(&context, args).await,
        Dlq::Show(args) => show(&context, &args).await,
        Dlq::Resolve(args) => act_on(&context, &args, Act::Resolve).await,
    }
}

async fn list(context: &Context, args: DlqList) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let DlqList { group, template, namespace, step, error, limit, before } = args;
    let filter = TaskFilter { states: vec![TaskState::Failed], template, namespace, step, error };
    match group {
        Grouping::Error => groups(context, &*store, filter, limit).await,
        Grouping::None => {
            let before = match &before {
                Some(text) => Some(ids::find(&*store, text).await?),
                None => None,
            };
            let tasks = store.list_tasks(filter, Page { before, limit }).await?;
            singles(context, &*store, &tasks, limit).await
        }
    }
}

/// What failed, by namespace, template, step and error.
async fn groups(context: &Context, store: &dyn Store, filter: TaskFilter, limit: u32) -> Outcome {
    let groups = store.failures(filter, limit).await?;
    match context.screen.format() {
        Format::Table if groups.is_empty() => nothing(context),
        Format::Table => {
            let now = Clock::System.now();
            let mut table = Table::new(&["  FAILURES", "NAMESPACE", "TEMPLATE", "STEP", "ERROR", "NEWEST", "LAST"]);
            for group in &groups {
                table.row([
                    Cell::styled(format!("✖ {}", group.failures), BAD),
                    group.namespace.as_str().into(),
                    group.template.as_str().into(),
                    group.step.as_str().into(),
                    error_name(group).into(),
                    ids::short(store, group.newest).await?.into(),
                    Cell::styled(human::ago(group.last_at, now), DIM),
                ]);
            }
            context.screen.data(table)?;
            if store.counts().await?.failed_tasks > u64::from(FAILED_TASKS_MAX) {
                context.screen.status(format!("{DIM}of the newest {FAILED_TASKS_MAX} failed tasks{DIM:#}"));
            }
            let newest = ids::short(store, groups[0].newest).await?;
            let commands = [
                (context.program.command(&format!("dlq show {newest}")), "why the newest one failed"),
                (context.program.command(&retry(&groups[0])), "which tasks of its kind could be tried again"),
            ];
            context.screen.status(context.screen.commands(&commands));
        }
        Format::Id if groups.is_empty() => {}
        Format::Id => context.screen.data(lines(groups.iter().map(|group| group.newest)))?,
        _ => context.screen.documents(&groups.iter().map(|group| json!(group)).collect::<Vec<_>>())?,
    }
    Ok(Exit::Ok)
}

/// The command that looks at all tasks that failed like these.
fn retry(group: &FailureGroup) -> String {
    let FailureGroup { namespace, template, step, .. } = group;
    let mut command = format!("task retry --all --namespace {namespace} --template {template} --step {step}");
    let is_plain = |text: &&String| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c))
            && !text.starts_with('-')
    };
    // What a shell would read otherwise is left out: fewer words mean more tasks, and nothing is done yet.
    if let Some(error) = group.error_code.as_ref().or(group.error_type.as_ref()).filter(is_plain) {
        _ = write!(command, " --error {error}");
    }
    command + " --dry-run"
}

fn error_name(group: &FailureGroup) -> String {
    let kind = group.error_type.as_deref().unwrap_or("unknown");
    human::visible(&match &group.error_code {
        Some(code) => format!("{kind} {code}"),
        None => kind.to_owned(),
    })
}

fn nothing(context: &Context) {
    context.screen.status("nothing has failed");
}

/// Each failed task alone.
async fn singles(context: &Context, store: &dyn Store, tasks: &[ListedTask], limit: u32) -> Outcome {
    match context.screen.format() {
        Format::Table if tasks.is_empty() => nothing(context),
        Format::Table => {
            let now = Clock::System.now();
            let mut table = Table::new(&["  TASK", "TEMPLATE", "FAILED", "STEP", "ERROR"]);
            for ListedTask { row, .. } in tasks {
                // What was pruned meanwhile is no dead letter any more.
                let Some(view) = store.find_task(row.id).await? else { continue };
                let failed = failed(&view).next();
                let error = failed.and_then(error_of);
                table.row([
                    Cell::styled(format!("✖ {}", ids::short(store, row.id).await?), BAD),
                    row.pinned.template.name.as_str().into(),
                    Cell::styled(row.finished_at.map(|at| human::ago(at, now)).unwrap_or_default(), DIM),
                    failed.map(|step| step.name.as_str()).unwrap_or_default().into(),
                    error
                        .map(|error| error_text(error.error_type.as_deref(), &error.message))
                        .unwrap_or_default()
                        .into(),
                ]);
            }
            context.screen.data(table)?;
            tell_older(context, store, tasks, limit, "dlq list --group none").await?;
        }
        Format::Id if tasks.is_empty() => {}
        Format::Id => context.screen.data(lines(tasks.iter().map(|listed| listed.row.id)))?,
        _ => {
            let documents = tasks.iter().map(|listed| json!(ListedDocument::of(listed)));
            context.screen.documents(&documents.collect::<Vec<_>>())?;
        }
    }
    Ok(Exit::Ok)
}

fn failed(view: &TaskView) -> impl Iterator<Item = &StepView> {
    view.steps.iter().filter(|step| step.state == StepState::Failed)
}

/// The errors of every attempt of each failed step.
async fn show(context: &Context, args: &DeadTask) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let id = ids::find(&*store, &args.task).await?;
    let view = store.find_task(id).await?.ok_or_else(|| Error::NoTask(id.to_string()))?;
    if view.row.state != TaskState::Failed {
        let look = context.program.command(&format!("task show {}", ids::short(&*store, id).await?));
        return Err(Problem::new("E327", format!("task {id} is {}: it is no dead letter", view.row.state))
            .with_help(format!("look at it with `{look}`")));
    }
    match context.screen.format() {
        Format::Table => {
            context.screen.data(text(&view, Clock::System.now()))?;
            let short = ids::short(&*store, id).await?;
            let command = |verb: &str| context.program.command(&format!("{verb} {short}"));
            let commands = [
                (command("task retry"), "try again what failed"),
                (command("dlq resolve") + " --reason <WHY>", "close it as it stands"),
            ];
            context.screen.status(format!("\n{}", context.screen.commands(&commands)));
        }
        Format::Id => context.screen.data(id)?,
        _ => context.screen.document(&document(&view))?,
    }
    Ok(Exit::Ok)
}

fn text(view: &TaskView, now: Timestamp) -> String {
    let (row, (mark, style)) = (&view.row, mark_of(view.row.state));
    let mut out = format!("{style}{mark}{style:#} {BOLD}{}{BOLD:#}  {}", row.pinned.template.name, row.id);
    for step in failed(view) {
        _ = write!(out, "\n\n{BOLD}{}{BOLD:#}", step.name);
        if let Some(at) = step.finished_at {
            _ = write!(out, "  {DIM}failed {}{DIM:#}", moment(at, now));
        }
        if !step.attempts.is_empty() {
            _ = write!(out, "\n{}", attempts(step));
        }
        if let Some(error) = error_of(step) {
            _ = write!(out, "\n  {DIM}last, attempt {}{DIM:#}\n  {BAD}{}{BAD:#}\n", step.attempt, head(&error));
            out.push_str(&indented(&error.message));
        }
    }
    out
}

/// The class and the code of an error.
fn head(error: &ErrorDocument) -> String {
    let code = error.error_code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
    human::visible(&format!("{}{code}", error.error_type.as_deref().unwrap_or("unknown")))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {}", human::visible(line))).collect::<Vec<_>>().join("\n")
}

fn document(view: &TaskView) -> Value {
    let steps: Vec<Value> = failed(view)
        .map(|step| {
            let earlier: Vec<_> = step.attempts.iter().map(attempt).collect();
            json!({
                "name": step.name,
                "attempts": step.attempt,
                "started_at": step.claimed_at,
                "finished_at": step.finished_at,
                "error": error_of(step),
                "metadata": step.detail.as_ref().and_then(|detail| detail.get("metadata")),
                "history": earlier,
            })
        })
        .collect();
    let template = &view.row.pinned.template;
    json!({
        "task_uuid": view.row.id,
        "name": template.name,
        "namespace": template.namespace,
        "version": template.version,
        "failed_at": view.row.finished_at,
        "failed_steps": steps,
    })
}
