//! What an operator does to all tasks that a filter admits.

use serde_json::{Value, json};

use super::super::args::{Format, Target};
use super::super::document::ListedDocument;
use super::super::exit::Exit;
use super::super::human;
use super::super::problem::Problem;
use super::super::run::who;
use super::super::screen::{GOOD, Screen};
use super::super::session::{Missing, Role, Session};
use super::super::{Context, Outcome};
use super::table;
use crate::core::Act;
use crate::engine::{Acted, Bulk, Engine};
use crate::store::Page;

/// Tasks that are counted before the question; of more, it says that they are more.
const COUNTED_MAX: u64 = 10_000;
/// Tasks, and refusals, that one JSON document has; as JSON lines they are all told.
const TOLD_MAX: usize = 200;
/// Refusals that a person is told one by one.
const SHOWN_MAX: usize = 10;
const PAGE: u32 = 200;

/// Asks, acts on one task after the other, and tells how many were done and why others were not.
pub(super) async fn run(context: &Context, target: &Target, step: Option<&String>, act: Act) -> Outcome {
    let names = Names::of(&act);
    let bulk = Bulk::new(target.filter(step).into(), act, &who(), &target.reason)?;
    let session = Session::open(context, Missing::Refuse, Role::Client).await?;
    let outcome = if target.dry_run {
        list(context, &session, &bulk, names).await
    } else {
        ask_and_act(context, &session, &bulk, names).await
    };
    session.close().await;
    outcome
}

/// The words for an action.
#[derive(Debug, Clone, Copy)]
struct Names {
    verb: &'static str,
    done: &'static str,
    /// What goes on.
    rest: &'static str,
    /// Whether a worker has something to do then.
    needs_worker: bool,
}

impl Names {
    fn of(act: &Act) -> Self {
        let (verb, done, rest, needs_worker) = match act {
            Act::Cancel => ("cancel", "cancelled", "; what still runs is told to stop", false),
            Act::Pause => ("pause", "paused", "; what runs goes on to its end", false),
            Act::Resume => ("resume", "resumed", "", true),
            Act::Retry(_) => ("retry", "retried", "", true),
            Act::Resolve | Act::End(..) => ("resolve", "resolved", "", false),
            Act::Expire { .. } => ("end", "ended", "", false),
        };
        Self { verb, done, rest, needs_worker }
    }
}

async fn ask_and_act(context: &Context, session: &Session, bulk: &Bulk, names: Names) -> Outcome {
    let Names { verb, .. } = names;
    let meant = count(&session.engine, bulk).await?;
    if meant > 0 && !context.yes {
        let tasks = human::count(meant.min(COUNTED_MAX), "task");
        let tasks = if meant > COUNTED_MAX { format!("more than {tasks}") } else { tasks };
        if !context.screen.can_ask() {
            return Err(Problem::new("E325", format!("nobody can be asked whether to {verb} {tasks}"))
                .with_help("look with --dry-run at what would be touched, and say --yes"));
        }
        if !context.agrees(&format!("{verb} {tasks}?"))? {
            context.screen.status("nothing was done");
            return Ok(Exit::Ok);
        }
    }
    let mut tally = Tally::new(context.screen);
    let stopped = session.engine.act_on_all(bulk, |acted| tally.add(acted)).await;
    tally.end(names)?;
    if names.needs_worker && tally.done > 0 && !session.has_worker().await? {
        let dev = context.program.command("dev");
        context.screen.status(format!("no worker runs on this database: they wait for `{dev}`"));
    }
    stopped?;
    tally.refusals()
}

/// How many tasks are meant, as far as that is counted.
async fn count(engine: &Engine, bulk: &Bulk) -> Result<u64, Problem> {
    let (mut counted, mut before) = (0, None);
    while counted <= COUNTED_MAX {
        let page = engine.meant(bulk, Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.row.id);
        counted += u64::try_from(page.len()).unwrap_or(u64::MAX);
    }
    Ok(counted)
}

/// Lists what would be touched.
async fn list(context: &Context, session: &Session, bulk: &Bulk, names: Names) -> Outcome {
    let (mut meant, mut before, mut first) = (0_u64, None, Vec::new());
    loop {
        let page = session.engine.meant(bulk, Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.row.id);
        meant += u64::try_from(page.len()).unwrap_or(u64::MAX);
        let documents = page.iter().map(|listed| json!(ListedDocument::of(listed)));
        match context.screen.format() {
            Format::Table => table(context, &*session.store, &page).await?,
            Format::Id => context.screen.data(super::lines(page.iter().map(|listed| listed.row.id)))?,
            Format::Jsonl => context.screen.documents(&documents.collect::<Vec<_>>())?,
            Format::Json => first.extend(documents.take(TOLD_MAX - first.len())),
        }
    }
    if context.screen.format() == Format::Json {
        let document = json!({ "action": names.verb, "dry_run": true, "meant": meant, "tasks": first });
        context.screen.document(&document)?;
    }
    let (tasks, verb) = (human::count(meant, "task"), names.verb);
    context.screen.status(format!("would {verb} {tasks}; nothing was changed"));
    Ok(Exit::Ok)
}

/// What came of the tasks so far.
struct Tally {
    screen: Screen,
    done: u64,
    refused: u64,
    tasks: Vec<Value>,
    refusals: Vec<Value>,
    /// What kept the rest from being printed.
    unwritten: Option<Problem>,
}

impl Tally {
    fn new(screen: Screen) -> Self {
        Self { screen, done: 0, refused: 0, tasks: Vec::new(), refusals: Vec::new(), unwritten: None }
    }

    fn add(&mut self, (task, answer): &Acted) {
        let (list, record) = match answer {
            Ok(reply) => {
                self.done += 1;
                (&mut self.tasks, json!({ "task_uuid": task, "status": reply.state }))
            }
            Err(error) => {
                self.refused += 1;
                let (code, message) = (error.code(), error.to_string());
                (&mut self.refusals, json!({ "task_uuid": task, "code": code, "message": message }))
            }
        };
        let written = match self.screen.format() {
            Format::Jsonl => self.screen.document(&record),
            Format::Id if answer.is_ok() => self.screen.data(task),
            _ => Ok(()),
        };
        if list.len() < TOLD_MAX {
            list.push(record);
        }
        if let Err(problem) = written {
            self.unwritten.get_or_insert(problem);
        }
    }

    /// Tells what was done.
    fn end(&mut self, names: Names) -> Result<(), Problem> {
        let Names { verb, done, rest, .. } = names;
        match self.screen.format() {
            Format::Table if self.done == 0 && self.refused == 0 => {
                self.screen.status(format!("there is no task to {verb}"));
            }
            Format::Table if self.done > 0 => {
                let tasks = human::count(self.done, "task");
                self.screen.status(format!("{GOOD}✔{GOOD:#} {done} {tasks}{rest}"));
            }
            Format::Json => self.screen.document(&json!({
                "action": verb,
                "dry_run": false,
                "done": self.done,
                "refused": self.refused,
                "tasks": self.tasks,
                "refusals": self.refusals,
            }))?,
            Format::Table | Format::Id | Format::Jsonl => {}
        }
        self.unwritten.take().map_or(Ok(()), Err)
    }

    /// Tells what was not done, and why.
    fn refusals(self) -> Outcome {
        if self.refused == 0 {
            return Ok(Exit::Ok);
        }
        let tasks = human::count(self.done + self.refused, "task");
        let mut message = format!("{} of {tasks} refused", self.refused);
        for refusal in self.refusals.iter().take(SHOWN_MAX) {
            message.push_str(&format!("\n{}", refusal["message"].as_str().unwrap_or_default()));
        }
        let shown = u64::try_from(self.refusals.len().min(SHOWN_MAX)).unwrap_or(u64::MAX);
        if self.refused > shown {
            message.push_str(&format!("\nand {} more", self.refused - shown));
        }
        let help = "`-o jsonl` tells of each, `--state` chooses those for which it makes sense";
        Err(Problem::new("E326", message).with_help(help))
    }
}
