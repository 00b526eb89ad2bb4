//! What an operator does to one step.

use serde_json::{Value, json};
use tasker_types::StepNumber;

use super::super::args::{Format, StepActing};
use super::super::document::step_of;
use super::super::exit::Exit;
use super::super::run::who;
use super::super::session::{Missing, Role, Session};
use super::super::task::{explained, said};
use super::super::watch::view;
use super::super::{Context, Outcome, ids};
use super::number;
use crate::core::{Act, ByHand, Reply};
use crate::engine::Engine;

/// What is done to a step.
#[derive(Debug)]
pub(super) enum Hand {
    Retry,
    Skip,
    Resolve,
    /// With this result.
    Complete(Value),
}

impl Hand {
    fn verb(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Resolve => "resolve",
            Self::Complete(_) => "complete",
        }
    }

    /// What became of the step.
    fn done(&self) -> &'static str {
        match self {
            Self::Retry => "is tried again",
            Self::Skip => "is skipped by hand",
            Self::Resolve => "is resolved by hand",
            Self::Complete(_) => "is completed by hand",
        }
    }
}

/// Does it, after asking where it cannot be taken back.
pub(super) async fn run(context: &Context, args: &StepActing, hand: Hand) -> Outcome {
    let session = Session::open(context, Missing::Refuse, Role::Client).await?;
    let task = ids::find(&*session.store, &args.which.task).await?;
    let seen = view(&session, task).await?;
    let step = number(&seen, &args.which.step)?;
    let act = match &hand {
        Hand::Retry => Act::Retry(Some(step)),
        Hand::Skip => Act::End(step, ByHand::Skip),
        Hand::Resolve => Act::End(step, ByHand::Resolve),
        Hand::Complete(result) => session.engine.completion(task, step, result).await?,
    };
    Engine::check_action(&act, &who(), &args.reason)?;
    let name = &args.which.step;
    if !matches!(hand, Hand::Retry) {
        let state = step_of(&seen, step).map(|step| step.state.as_str().replace('_', " "));
        let (verb, state) = (hand.verb(), state.unwrap_or_default());
        if !context.agrees(&format!("{verb} step {name} of {task}, which is {state}?"))? {
            context.screen.status("nothing was done");
            return Ok(Exit::Ok);
        }
    }
    let outcome = match session.engine.act(task, act, &who(), &args.reason).await {
        Ok(reply) => {
            said(context, &session, reply, &format!("; step `{name}` {}", hand.done())).await?;
            tell(context, reply, step, name)
        }
        Err(error) => Err(explained(context, error.into(), task)),
    };
    session.close().await;
    outcome
}

fn tell(context: &Context, reply: Reply, step: StepNumber, name: &str) -> Outcome {
    let id = reply.task.step_uuid(step);
    match context.screen.format() {
        Format::Table => {}
        Format::Id => context.screen.data(id)?,
        _ => context
            .screen
            .document(&json!({ "task_uuid": reply.task, "status": reply.state, "step": name, "step_uuid": id }))?,
    }
    Ok(Exit::Ok)
}
