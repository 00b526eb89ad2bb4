//! `task rerun`.

use std::time::Duration;

use serde_json::json;

use super::super::args::{Format, RerunTask};
use super::super::document::step_of;
use super::super::exit::Exit;
use super::super::run::{wait, who};
use super::super::screen::BOLD;
use super::super::session::{Missing, Role, Session};
use super::super::step::number;
use super::super::watch::{Bounds, view};
use super::super::{Context, Outcome, ids, input, recovery, signals, startup};
use super::act::{explained, said};
use crate::core::Reply;

/// Runs a task that is over again, from one of its steps on.
pub(super) async fn run(context: &Context, args: &RerunTask) -> Outcome {
    let edited = args.input.as_deref().map(|text| input::read(text, "--input")).transpose()?;
    let waits = args.wait || args.watch;
    let role = if waits { Role::Worker } else { Role::Client };
    if waits {
        startup::check(context)?;
    }
    let mut session = Session::open(context, Missing::Refuse, role).await?;
    let signals = signals::listen();
    let source = ids::find(&*session.store, &args.task).await?;
    let seen = view(&session, source).await?;
    let pinned = &seen.row.pinned;
    // The step that workers were made after is named, too: it stands for all of them.
    let is_known = |&found: &_| found < pinned.first_worker() || step_of(&seen, found).is_some();
    let from = match pinned.number(&args.from).filter(is_known) {
        Some(found) => found,
        None => number(&seen, &args.from)?,
    };
    let asked = session.engine.rerun(source, from, edited.as_ref(), &who(), &args.reason).await;
    let outcome = match asked {
        Ok(task) if waits => {
            let old = ids::short(&*session.store, source).await?;
            context.screen.status(format!("{BOLD}{old}{BOLD:#} is run again from step `{}` on", args.from));
            if session.take_right().await? {
                recovery::start_worker(context, &session).await?;
            }
            let bounds = Bounds { timeout: args.timeout.map(Duration::from_secs_f64), signals };
            wait(context, &mut session, task, &bounds, args.wait).await
        }
        Ok(task) => {
            let state = view(&session, task).await?.row.state;
            let old = ids::short(&*session.store, source).await?;
            let rest = format!("; it runs {BOLD}{old}{BOLD:#} again from step `{}` on", args.from);
            said(context, &session, Reply { task, state }, &rest).await?;
            match context.screen.format() {
                Format::Table | Format::Id => context.screen.data(task)?,
                _ => context
                    .screen
                    .document(&json!({ "task_uuid": task, "status": state, "rerun_of": source, "from": args.from }))?,
            }
            Ok(Exit::Ok)
        }
        Err(error) => Err(explained(context, error.into(), source)),
    };
    session.close().await;
    outcome
}
