//! The command line: reads what was typed, runs it, and tells how it went.

mod args;
mod ask;
mod batches;
mod check;
mod database;
mod db;
mod demo;
mod dev;
mod diff;
mod dlq;
mod doctor;
mod document;
mod event;
mod exit;
mod explain;
mod graph;
mod handlers;
mod human;
mod ids;
mod input;
mod live;
mod logging;
mod new;
mod problem;
mod program;
mod progress;
mod recovery;
mod run;
mod screen;
mod session;
mod signals;
mod skip;
mod startup;
mod status;
mod step;
mod table;
mod task;
mod templates;
mod usage;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, FromArgMatches as _};
use clap_complete::Shell;

use self::args::{Line, Verb};
use self::exit::Exit;
use self::problem::Problem;
use self::program::Program;
use self::screen::Screen;
use crate::app::App;
use crate::app::settings::Settings;
use crate::app::templates::Templates;
use crate::event::EventRegistry;
use crate::handler::{AppState, Layer, RustStepHandlerRegistry};

/// Everything that a command may use.
struct Context {
    app: App,
    registry: Arc<RustStepHandlerRegistry>,
    state: Arc<AppState>,
    layers: Arc<[Arc<dyn Layer>]>,
    events: Arc<EventRegistry>,
    settings: Settings,
    screen: Screen,
    program: Program,
    yes: bool,
    /// Whether the command line names a database.
    names_database: bool,
}

type Outcome = Result<Exit, Problem>;

impl Context {
    /// The templates of this program, as they run in its environment.
    fn templates(&self) -> Templates {
        let Settings { templates, env, .. } = &self.settings;
        Templates::read(&self.app.embedded, templates.as_deref(), env.as_deref())
    }
}

/// Runs the command of this process's arguments.
pub(crate) fn main(app: App) -> ExitCode {
    logging::keep_panics_apart();
    let program = Program::this();
    let command = Line::command().bin_name(program.name.clone());
    let command = command.mut_subcommand("demo", |demo| demo.hide(app.demo.is_none()));
    let line = command.try_get_matches().and_then(|matches| Line::from_arg_matches(&matches));
    match line {
        Ok(line) => run(app, program, line).code(),
        Err(error) => not_understood(&error).code(),
    }
}

/// Help and versions, and command lines that mean nothing: for people as clap writes them.
fn not_understood(error: &clap::Error) -> Exit {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let screen = Screen::of(usage::format_in(arguments));
    if error.use_stderr() && !screen.is_human() {
        let problem = usage::problem(error);
        screen.problem(&problem);
        return problem.exit;
    }
    // Where standard error is gone, nobody is left to be told.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}

fn run(app: App, program: Program, line: Line) -> Exit {
    let screen = Screen::new(&line.global);
    let outcome = context(app, program, screen, &line).and_then(|context| dispatch(context, line.verb));
    match outcome {
        Ok(exit) => exit,
        Err(problem) => {
            screen.problem(&problem);
            problem.exit
        }
    }
}

fn context(mut app: App, program: Program, screen: Screen, line: &Line) -> Result<Context, Problem> {
    let folder = std::env::current_dir()
        .map_err(|error| Problem::new("E300", format!("the current folder cannot be found: {error}")))?;
    let defaults = std::mem::take(&mut app.defaults);
    let variables =
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    let settings = Settings::read(defaults, &folder, variables, line.global.db.as_deref())?;
    let names_database = line.global.db.is_some();
    let program = if names_database { program.on_database(&settings.database) } else { program };
    logging::start(line.global.verbose, settings.log.as_deref())?;
    // The default registry is empty; a new one holds what is linked in.
    let registry = match app.registry.take() {
        Some(registry) => Arc::new(registry),
        None => Arc::new(RustStepHandlerRegistry::new()),
    };
    let (state, layers) = (Arc::new(std::mem::take(&mut app.state)), std::mem::take(&mut app.layers).into());
    let events = Arc::new(app.take_events());
    Ok(Context {
        app,
        registry,
        state,
        layers,
        events,
        settings,
        screen,
        program,
        yes: line.global.yes,
        names_database,
    })
}

fn dispatch(context: Context, verb: Option<Verb>) -> Outcome {
    match verb {
        None => session::block_on(Box::pin(status::run(context))),
        Some(Verb::Run(args)) => session::block_on(Box::pin(run::run(context, args))),
        Some(Verb::Dev(args)) => session::block_on(Box::pin(dev::run(context, args))),
        Some(Verb::Demo) => session::block_on(Box::pin(demo::run(context))),
        Some(Verb::New(args)) => new::run(&context, &args),
        Some(Verb::Task(verb)) => session::block_on(Box::pin(task::run(context, verb))),
        Some(Verb::Step(verb)) => session::block_on(Box::pin(step::run(context, verb))),
        Some(Verb::Dlq(verb)) => session::block_on(Box::pin(dlq::run(context, verb))),
        Some(Verb::Event(verb)) => session::block_on(Box::pin(event::run(context, verb))),
        Some(Verb::Template(verb)) => session::block_on(Box::pin(templates::run(context, verb))),
        Some(Verb::Handler(verb)) => handlers::run(&context, &verb),
        Some(Verb::Check) => session::block_on(Box::pin(check::run(context))),
        Some(Verb::Doctor(args)) => session::block_on(Box::pin(doctor::run(context, args))),
        Some(Verb::Db(verb)) => session::block_on(Box::pin(db::run(context, verb))),
        Some(Verb::Explain { code }) => explain::run(&context, code.as_deref()),
        Some(Verb::Completions { shell }) => completions(&context, shell),
    }
}

fn completions(context: &Context, shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Line::command(), context.program.name.clone(), &mut script);
    context.screen.data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Ok)
}
