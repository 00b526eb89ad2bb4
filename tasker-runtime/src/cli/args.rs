//! What can be typed.

mod event;
mod task;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tasker_types::{TaskRequest, Timestamp};

pub(crate) use self::event::{Event, EventList, OneSubscriber};
pub(crate) use self::task::{
    Acting, DeadTask, Dlq, DlqList, Filter, Grouping, OneStep, RerunTask, Retry, Step, StepActing, Target, Task,
    TaskList, Watch,
};

/// Ten years.
const DELAY_SECONDS_MAX: f64 = 3_650.0 * 86_400.0;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

/// Runs durable workflows: templates of steps, on a database in one file.
#[derive(Debug, Parser)]
#[command(name = "tasker", version, styles = STYLES, infer_subcommands = false, disable_help_subcommand = true, max_term_width = 110)]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// How data is printed: for people, as JSON, as JSON lines, or only ids
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// The database: `sqlite://PATH`, a path, or `postgres://USER:PASSWORD@HOST/DATABASE`
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) db: Option<String>,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log more; twice for details
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// No colour
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Ask nothing: every answer is yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
}

/// What becomes of a request that made a task before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Existing {
    /// It is given that task
    Attach,
    /// It is refused
    Conflict,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Jsonl,
    Id,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the sample workflow, live, on a database of its own
    Demo,
    /// Make a project that builds as it stands
    New(New),
    /// Run the worker until a signal stops it
    Dev(Dev),
    /// Start a task
    Run(Run),
    /// Tasks: list, show, watch, retry, pause, resume, cancel, resolve
    #[command(subcommand)]
    Task(Task),
    /// Steps of a task: show, retry, skip, resolve, complete
    #[command(subcommand)]
    Step(Step),
    /// Dead letters: what failed, and why
    #[command(subcommand)]
    Dlq(Dlq),
    /// Events that are stored, and who was not given them yet: list, subscribers, forget
    #[command(subcommand)]
    Event(Event),
    /// Templates: list, show, check, graph, diff, schema
    #[command(subcommand)]
    Template(Template),
    /// Handlers in this program
    #[command(subcommand)]
    Handler(Handler),
    /// Check that templates, handlers and settings fit together
    Check,
    /// Look for what is wrong with the database and this program
    Doctor(Doctor),
    /// The database
    #[command(subcommand)]
    Db(Db),
    /// Say what a code means and what to do
    Explain {
        /// Such as E201 or T012; all codes where it is left out
        code: Option<String>,
    },
    /// Print a script that completes commands in your shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The folder; it must be empty or missing
    pub(crate) folder: PathBuf,
    /// Depend on the source of tasker in this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Steps that run at once
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) slots: Option<u32>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("waits").args(["wait", "watch"]).multiple(true))]
pub(crate) struct Run {
    /// The template's name
    pub(crate) template: String,
    /// What the task works on: JSON, @FILE, or - for standard input
    #[arg(short, long, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    pub(crate) input: String,
    /// Wait until the task is over, and print its result
    #[arg(long)]
    pub(crate) wait: bool,
    /// Show the steps as they run until the task is over
    #[arg(long)]
    pub(crate) watch: bool,
    /// The template's namespace
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// The template's version; the newest where it is left out
    #[arg(long = "version", value_name = "X.Y.Z")]
    pub(crate) version: Option<String>,
    /// From -100 to 100; the higher one is run first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i16).range(-100..=100))]
    pub(crate) priority: i16,
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// What the request is known by: another one with the same key is given the same task
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// What becomes of the request where it made a task before
    #[arg(long, value_enum, default_value_t = Existing::Attach, value_name = "WHAT")]
    pub(crate) if_exists: Existing,
    /// Start at this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "delay")]
    pub(crate) at: Option<Timestamp>,
    /// Start after this time, such as 90s, 15m, 12h or 7d
    #[arg(long = "in", id = "delay", value_name = "DURATION", value_parser = duration)]
    pub(crate) delay: Option<Duration>,
    /// Take a step for lost whose worker has no outcome after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=i64::from(TaskRequest::CLAIM_TIMEOUT_SECONDS_MAX)))]
    pub(crate) claim_timeout_seconds: Option<u32>,
    /// Wait at most so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "waits")]
    pub(crate) timeout: Option<f64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Template {
    /// List the templates of this program and of the database
    List,
    /// Show a template
    Show(OneTemplate),
    /// Check templates: these files, or all of this program
    Check {
        /// The files
        files: Vec<PathBuf>,
    },
    /// Draw a template
    Graph(Graph),
    /// Compare what is stored of a template with another version of it, or with a file; ends with 1 where they differ
    Diff(TemplateDiffer),
    /// Print the JSON Schema of templates, for editors
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct OneTemplate {
    /// The template's name
    pub(crate) template: String,
    /// Its namespace
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// Its version; the newest where it is left out
    #[arg(long = "version", value_name = "X.Y.Z")]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TemplateDiffer {
    /// The template's name
    pub(crate) template: String,
    /// The version that is stored; the newest where it is left out
    #[arg(value_name = "VERSION")]
    pub(crate) old: Option<String>,
    /// Another version that is stored, or a file; what this program has where it is left out
    #[arg(value_name = "VERSION|FILE")]
    pub(crate) new: Option<String>,
    /// Its namespace
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) template: OneTemplate,
    /// As a Mermaid flowchart
    #[arg(long, conflicts_with = "svg")]
    pub(crate) mermaid: bool,
    /// As an SVG image
    #[arg(long)]
    pub(crate) svg: bool,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Handler {
    /// List the handlers
    List,
    /// Show a handler: its documentation, where it is written, who uses it
    Show {
        /// Its name
        handler: String,
    },
    /// Print the JSON Schemas of what a handler takes and gives, as far as its types say them
    Schema {
        /// Its name
        handler: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Leave out the look at every row of every task
    #[arg(long)]
    pub(crate) quick: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Make the database where it is missing, and bring its schema up to date
    Migrate,
    /// Say where the database is, how large, and what is in it
    Info,
}

/// A number and its unit: `90s`, `1.5h`.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];
    let found =
        units.iter().find_map(|(unit, seconds)| Some(text.strip_suffix(unit)?.trim().parse::<f64>().ok()? * seconds));
    match found {
        Some(seconds) if (0.0..=DELAY_SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Some(_) => Err("it takes at most 3650 days".to_owned()),
        None => Err("it takes a number and a unit: `500ms`, `90s`, `15m`, `12h`, `7d`".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().map_err(|_| "it takes a number of seconds".to_owned())?;
    if (0.0..=1e9).contains(&seconds) { Ok(seconds) } else { Err("it takes 0 to 1000000000 seconds".to_owned()) }
}
