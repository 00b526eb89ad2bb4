//! `demo`: the sample workflow, live, on a database of its own that stays to be looked at.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tasker_types::{TaskRequest, TaskState};
use uuid::Uuid;

use super::document::final_result;
use super::exit::Exit;
use super::problem::Problem;
use super::progress::Progress;
use super::screen::{BOLD, DIM, json_text};
use super::session::{Missing, Role, Session};
use super::watch::{Bounds, Watched, view, watch};
use super::{Context, Outcome, ids, recovery, signals, startup};
use crate::app::Demo;
use crate::app::settings::Place;
use crate::app::templates::Embedded;

/// Runs the command.
pub(crate) async fn run(mut context: Context) -> Outcome {
    let Some(demo) = context.app.demo.take() else {
        return Err(Problem::new("E318", "this program has no demo").with_help("`run` starts one of its own templates"));
    };
    if !context.names_database {
        context.settings.database = Place::File(fresh_folder()?.join("demo.db"));
        context.program = context.program.on_database(&context.settings.database);
    }
    context.registry = Arc::new(demo.handlers.clone());
    context.settings.templates = None;
    context.app.embedded = vec![Embedded { file_name: demo.file_name.into(), text: demo.template.into() }];
    let templates = startup::check(&context)?;
    let mut session = Session::open(&context, Missing::Make, Role::Worker).await?;
    if !session.join().await? {
        return Err(crate::store::StoreError::Locked(context.settings.database.to_string()).into());
    }
    let bounds = Bounds { timeout: None, signals: signals::listen() };
    startup::store(&session.engine, &templates).await?;
    recovery::start_worker(&context, &session).await?;
    let name = templates.loaded.first().map(|loaded| &loaded.parsed.template);
    let (name, namespace) =
        name.map(|template| (template.name.clone(), template.namespace.clone())).unwrap_or_default();
    let outcome = tasks(&context, &mut session, &demo, (&name, &namespace), &bounds).await;
    session.close().await;
    if outcome? == Watched::Interrupted {
        return Err(Problem::new("E323", "interrupted"));
    }
    tell_next(&context);
    Ok(Exit::Ok)
}

async fn tasks(
    context: &Context,
    session: &mut Session,
    demo: &Demo,
    (name, namespace): (&str, &str),
    bounds: &Bounds,
) -> Result<Watched, Problem> {
    for (number, (what, input)) in demo.tasks.iter().enumerate() {
        if number > 0 {
            context.screen.status("");
        }
        context.screen.status(format!("{DIM}{what}{DIM:#}"));
        let input: Value = serde_json::from_str(input)
            .map_err(|error| Problem::new("E307", format!("an input of the demo is not JSON: {error}")))?;
        let request = TaskRequest {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            context: input,
            source_system: "demo".to_owned(),
            ..TaskRequest::default()
        };
        let task = session.engine.submit(request).await?;
        let short = ids::short(&*session.store, task).await?;
        let mut progress = Progress::begin(context.screen, &view(session, task).await?, &short);
        let watched = watch(context, session, task, &mut progress, bounds, Role::Worker).await?;
        let seen = view(session, task).await?;
        let Watched::Over(state) = watched else { return Ok(watched) };
        progress.end(&seen, session.engine.clock().now());
        if state == TaskState::Completed {
            context.screen.data(json_text(&final_result(&seen), context.screen.is_human())?)?;
        }
    }
    Ok(Watched::Over(TaskState::Completed))
}

fn tell_next(context: &Context) {
    let screen = context.screen;
    screen.status(format!("\n{BOLD}What to try next{BOLD:#}"));
    let here = |verb: &str| context.program.command(verb);
    let plain = super::program::Program::this();
    screen.status(screen.commands(&[
        (here("task list"), "the tasks of this demo"),
        (here("task show @last"), "the last one, step by step"),
        (here("step show @last validate_order"), "why it failed"),
        (here("template graph order_fulfillment"), "what runs after what"),
        (plain.command("new ../my-app"), "a project of your own"),
    ]));
}

/// A folder that nobody else has.
fn fresh_folder() -> Result<PathBuf, Problem> {
    let name = Uuid::new_v4().simple().to_string();
    let folder = std::env::temp_dir().join(format!("tasker-demo-{}", &name[..8]));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(&folder)
        .map_err(|error| Problem::new("E316", format!("{} cannot be made: {error}", folder.display())))?;
    Ok(folder)
}
