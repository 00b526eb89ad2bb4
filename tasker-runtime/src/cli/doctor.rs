//! `doctor`: looks for what is wrong with the database and with this program.

mod probe;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;
use tasker_types::StepState;

use super::args::{self, Format};
use super::database::{Database, Facts};
use super::event::Standing;
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::screen::{BAD, DIM, GOOD, HELP, WARN};
use super::session::{Missing, open_store};
use super::{Context, Outcome, db};
use crate::app::settings::Place;
use crate::core::{self, QueueId};
use crate::engine::Clock;
use crate::store::{Store, WorkerView};

/// Tasks that are read at once.
const PAGE: u32 = 200;
/// Seconds after which an open transaction is worth a word.
#[cfg(feature = "postgres")]
const OLD_TRANSACTION: i64 = 300;
/// Violations that are listed.
const LISTED: usize = 20;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Good,
    Warning,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    level: Level,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Check {
    fn new(name: &'static str, level: Level, message: impl Into<String>) -> Self {
        Self { name, level, message: message.into(), help: None }
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What a program that watches over the database may want to know.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    /// Tasks that were looked at.
    tasks: u64,
    /// Workers whose lease lasts.
    live_workers: usize,
    /// Ready steps whose handler none of them has.
    steps_without_worker: u64,
}

/// Runs the command.
pub(crate) async fn run(context: Context, args: args::Doctor) -> Outcome {
    let mut checks = program(&context);
    let mut figures = None;
    if context.settings.database.is_there() {
        let store = open_store(&context, Missing::Refuse).await?;
        let info = db::read(&context, &store).await?;
        checks.extend(database(&info));
        checks.extend(subscribers(&context, &store, info.worker_runs).await?);
        if let Place::File(path) = &context.settings.database {
            checks.push(probe::disk(path));
        }
        if !args.quick {
            let workers = store.live_workers().await?;
            let (found, counted) = rows(&context, &*store, &workers).await?;
            checks.extend(found);
            figures = Some(counted);
        }
        store.close().await?;
    } else {
        let path = &context.settings.database;
        checks.push(Check::new("database", Level::Good, format!("none yet; it will be {path}")));
    }
    tell(&context, &checks, figures)
}

fn program(context: &Context) -> Vec<Check> {
    let settings = context.settings.project.settings_file.as_ref();
    let settings = settings.map_or_else(|| "no tasker.toml".to_owned(), |file| file.display().to_string());
    let mut checks = vec![Check::new(
        "versions",
        Level::Good,
        format!("{} {}, {settings}", context.program.name, env!("CARGO_PKG_VERSION")),
    )];
    if cfg!(panic = "abort") {
        checks.push(
            Check::new("panics", Level::Warning, "a handler that panics takes the whole process with it")
                .with_help("remove `panic = \"abort\"` from the profile: a panic then fails one attempt"),
        );
    }
    let problems = context.registry.problems(&context.state, &[]);
    for problem in problems.problems() {
        checks.push(Check::new("handlers", Level::Bad, problem.to_string()));
    }
    checks
}

fn database(info: &db::Info) -> Vec<Check> {
    let facts = &info.facts;
    let size = human::bytes(info.bytes);
    let mut checks = vec![Check::new(
        "database",
        Level::Good,
        format!("{}, {size}, schema version {}", info.path, facts.schema_version()),
    )];
    checks.push(safety(facts));
    let counts = &info.counts;
    let tasks = format!(
        "{} open, {} failed; {} steps ready, {} running, {} waiting for a retry",
        counts.open_tasks, counts.failed_tasks, counts.ready_steps, counts.running_steps, counts.waiting_steps
    );
    checks.push(Check::new("tasks", Level::Good, tasks));
    checks.push(match (info.worker_runs, counts.running_steps, counts.ready_steps) {
        (true, ..) => Check::new("worker", Level::Good, db::workers(info)),
        (false, 1.., _) => {
            Check::new("worker", Level::Warning, "none, and steps are marked as running: the last one died")
                .with_help("the next worker takes them back: start `dev`")
        }
        (false, _, 1..) => Check::new("worker", Level::Warning, "none, and steps are ready").with_help("start `dev`"),
        _ => Check::new("worker", Level::Good, "none"),
    });
    checks
}

/// How safe the database is set to be.
fn safety(facts: &Facts) -> Check {
    let (kind, how) = facts.kind();
    let check = Check::new(kind, Level::Good, how);
    match facts {
        Facts::Sqlite(facts) => match (facts.journal_mode.as_str(), facts.synchronous) {
            ("wal", "FULL" | "EXTRA") => check,
            ("wal", _) => Check { level: Level::Warning, ..check }
                .with_help("the last tasks and results may not survive power loss: set `durability = \"full\"`"),
            _ => {
                Check { level: Level::Bad, ..check }.with_help("the file must allow WAL: it may be on a network share")
            }
        },
        #[cfg(feature = "postgres")]
        Facts::Postgres(facts) => {
            if facts.fsync == "off" {
                return Check { level: Level::Warning, ..check }
                    .with_help("the server is set to `fsync = off`: a crash of its machine can destroy the database");
            }
            if facts.synchronous_commit == "off" {
                return Check { level: Level::Warning, ..check }.with_help(
                    "the last tasks and results may not survive a crash of the server: set `synchronous_commit = on`",
                );
            }
            if facts.connections.saturating_mul(10) > facts.connections_max.saturating_mul(9) {
                let full = format!("{} of {} connections are taken", facts.connections, facts.connections_max);
                return Check { level: Level::Warning, message: format!("{}; {full}", check.message), ..check }
                    .with_help("a worker takes up to six: raise `max_connections`, or put a pooler in between (`?pooler=true`)");
            }
            if facts.oldest_transaction_seconds > OLD_TRANSACTION {
                let old = format!("a transaction is open for {} s", facts.oldest_transaction_seconds);
                return Check { level: Level::Warning, message: format!("{}; {old}", check.message), ..check }
                    .with_help("dead rows cannot be cleaned up while it lasts: claims become slower; look at `pg_stat_activity`");
            }
            check
        }
    }
}

/// Subscribers that do not take what they are due: their tasks are never pruned.
async fn subscribers(context: &Context, store: &Database, worker_runs: bool) -> Result<Vec<Check>, Problem> {
    let all = Standing::all(store).await?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let now = Clock::System.now();
    let mut checks = Vec::new();
    for standing in &all {
        let (view, behind) = (&standing.view, standing.is_behind(now));
        let missing = format!(
            "`{}` was not given {}, the oldest {}",
            view.name,
            human::count(view.undelivered, "event"),
            view.oldest.map(|at| human::ago(at, now)).unwrap_or_default()
        );
        if view.undelivered == 0 {
            continue;
        }
        if standing.given_by.is_none() && (worker_runs || behind) {
            let forget = context.program.command(&format!("event forget {}", view.name));
            checks.push(
                Check::new("events", Level::Warning, format!("{missing}: no worker has this subscriber")).with_help(format!(
                    "their tasks are not pruned: start a program that has it, or, where it is gone for good, `{forget}`"
                )),
            );
        } else if behind {
            let error = view.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            checks
                .push(Check::new("events", Level::Warning, format!("{missing}{error}")).with_help(
                    "their tasks are not pruned, and later events of them wait: put right what it fails on",
                ));
        }
    }
    if checks.is_empty() {
        let due = human::count(all.iter().map(|standing| standing.view.undelivered).sum(), "event");
        let subscribers = human::count(u64::try_from(all.len()).unwrap_or(u64::MAX), "subscriber");
        checks.push(Check::new("events", Level::Good, format!("{subscribers}; {due} to be delivered")));
    }
    Ok(checks)
}

/// Looks at every row of every task.
async fn rows(context: &Context, store: &dyn Store, workers: &[WorkerView]) -> Result<(Vec<Check>, Figures), Problem> {
    let (mut after, mut tasks, mut violations) = (None, 0, Vec::new());
    let mut waiting: BTreeMap<String, u64> = BTreeMap::new();
    let mut nobodys: BTreeMap<String, u64> = BTreeMap::new();
    let served: BTreeSet<QueueId> = workers.iter().flat_map(|worker| worker.queues.iter().copied()).collect();
    loop {
        let dump = store.dump(after, PAGE).await?;
        let Some(last) = dump.tasks.last().map(|row| row.id) else { break };
        after = Some(last);
        tasks += u64::try_from(dump.tasks.len()).unwrap_or(u64::MAX);
        violations.extend(core::check(&dump));
        let pinned: BTreeMap<_, _> = dump.tasks.iter().map(|row| (row.id, &row.pinned)).collect();
        for live in &dump.live {
            let Some(pinned) = pinned.get(&live.task) else { continue };
            if !pinned.has(live.number) {
                continue;
            }
            let step = pinned.step(live.number);
            if !workers.is_empty() {
                if live.state == StepState::Ready && !served.contains(&live.queue) {
                    *nobodys.entry(step.handler.to_string()).or_default() += 1;
                }
            } else if !context.registry.is_registered(&step.handler) {
                *waiting.entry(step.handler.to_string()).or_default() += 1;
            }
        }
    }
    let figures = Figures { tasks, live_workers: workers.len(), steps_without_worker: nobodys.values().sum() };
    let mut checks = Vec::new();
    if violations.is_empty() {
        checks.push(Check::new("invariants", Level::Good, format!("all hold in {}", human::count(tasks, "task"))));
    } else {
        let mut message = format!(
            "{} in {}",
            human::count(u64::try_from(violations.len()).unwrap_or(u64::MAX), "violation"),
            human::count(tasks, "task")
        );
        for violation in violations.iter().take(LISTED) {
            message.push_str(&format!("\n{violation}"));
        }
        checks.push(
            Check::new("invariants", Level::Bad, message)
                .with_help("this is a defect of tasker or of the file: keep a copy of the file, and report it"),
        );
    }
    for (handler, steps) in nobodys {
        let steps = human::count(steps, "step");
        checks.push(
            Check::new(
                "workers",
                Level::Warning,
                format!("no live worker has handler `{handler}`, which {steps} wait for"),
            )
            .with_help("start a worker of the program that has it; an alias keeps an old name alive"),
        );
    }
    for (handler, steps) in waiting {
        let steps = human::count(steps, "step");
        checks.push(
            Check::new(
                "handlers",
                Level::Warning,
                format!("this program does not have handler `{handler}`, which {steps} wait for"),
            )
            .with_help("they wait for a program that has it; an alias keeps an old name alive"),
        );
    }
    Ok((checks, figures))
}

fn tell(context: &Context, checks: &[Check], figures: Option<Figures>) -> Outcome {
    let bad = checks.iter().filter(|check| check.level == Level::Bad).count();
    match context.screen.format() {
        Format::Table => {
            for check in checks {
                let (mark, style) = match check.level {
                    Level::Good => ('✔', GOOD),
                    Level::Warning => ('!', WARN),
                    Level::Bad => ('✖', BAD),
                };
                let message = human::visible_lines(&check.message).replace('\n', "\n               ");
                let mut text = format!("{style}{mark}{style:#} {DIM}{:12}{DIM:#} {message}", check.name);
                if let Some(help) = &check.help {
                    text.push_str(&format!("\n               {HELP}help{HELP:#}: {help}"));
                }
                context.screen.data(text)?;
            }
        }
        Format::Id => {
            let names =
                super::task::lines(checks.iter().filter(|check| check.level != Level::Good).map(|check| check.name));
            if !names.is_empty() {
                context.screen.data(names)?;
            }
        }
        _ => context.screen.document(&json!({ "healthy": bad == 0, "checks": checks, "figures": figures }))?,
    }
    if bad == 0 {
        return Ok(Exit::Ok);
    }
    let found = human::count(u64::try_from(bad).unwrap_or(u64::MAX), "problem");
    Err(Problem::new("E317", format!("{found} found")).silent(!context.screen.is_human()))
}
