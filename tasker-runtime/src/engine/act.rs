//! What operators do to a task: each action is one transaction, with the record of who did it, and why.

use serde_json::Value;
use tasker_types::{StepNumber, TaskId};

use super::dispatch::Message;
use super::limits::{self, check_label};
use super::wait;
use super::{Engine, Error};
use crate::core::{Act, ActionStamp, ByHand, Command, Refusal, Reply, Says, chosen, cut};

impl Engine {
    /// Stops a task: what waits is cancelled at once, what runs is told to stop.
    ///
    /// # Errors
    /// There is no such task, it is over, or the store fails.
    pub async fn cancel(&self, task: TaskId, actor: &str, reason: &str) -> Result<Reply, Error> {
        self.act(task, Act::Cancel, actor, reason).await
    }

    /// Tries failed steps of a task again: all of them, or one.
    ///
    /// # Errors
    /// There is no such task, no such step has failed, or the store fails.
    pub async fn retry(
        &self,
        task: TaskId,
        step: Option<StepNumber>,
        actor: &str,
        reason: &str,
    ) -> Result<Reply, Error> {
        self.act(task, Act::Retry(step), actor, reason).await
    }

    /// Holds a task back: no step of it is claimed until it is resumed. What runs goes on to its end.
    ///
    /// # Errors
    /// There is no such task, it is neither pending nor running, or the store fails.
    pub async fn pause(&self, task: TaskId, actor: &str, reason: &str) -> Result<Reply, Error> {
        self.act(task, Act::Pause, actor, reason).await
    }

    /// Lets a paused task go on.
    ///
    /// # Errors
    /// There is no such task, it is not paused, or the store fails.
    pub async fn resume(&self, task: TaskId, actor: &str, reason: &str) -> Result<Reply, Error> {
        self.act(task, Act::Resume, actor, reason).await
    }

    /// Closes a failed task as it stands, for good.
    ///
    /// # Errors
    /// There is no such task, it has not failed, there is no reason, or the store fails.
    pub async fn resolve_task(&self, task: TaskId, actor: &str, reason: &str) -> Result<Reply, Error> {
        self.act(task, Act::Resolve, actor, reason).await
    }

    /// Skips a step that failed, is ready or waits for its retry: it has no result, and what depends on it goes on.
    ///
    /// # Errors
    /// There is no such step, it is in another state, there is no reason, or the store fails.
    pub async fn skip_step(&self, task: TaskId, step: StepNumber, actor: &str, reason: &str) -> Result<Reply, Error> {
        self.act(task, Act::End(step, ByHand::Skip), actor, reason).await
    }

    /// Closes a step whose work was done by other means: it has no result, and what depends on it goes on.
    ///
    /// # Errors
    /// As for [`skip_step`](Self::skip_step).
    pub async fn resolve_step(
        &self,
        task: TaskId,
        step: StepNumber,
        actor: &str,
        reason: &str,
    ) -> Result<Reply, Error> {
        self.act(task, Act::End(step, ByHand::Resolve), actor, reason).await
    }

    /// Completes a step with this result, as if its handler had returned it.
    ///
    /// # Errors
    /// As for [`skip_step`](Self::skip_step), and where the result is none that the step can have.
    pub async fn complete_step(
        &self,
        task: TaskId,
        step: StepNumber,
        result: &Value,
        actor: &str,
        reason: &str,
    ) -> Result<Reply, Error> {
        let act = self.completion(task, step, result).await?;
        self.act(task, act, actor, reason).await
    }

    /// What completes a step with this result. It is held against what is taken from a handler: its bounds, the step's
    /// schema, and what a decision has to name.
    ///
    /// # Errors
    /// There is no such step, the result is none that it can have, or the store fails.
    pub async fn completion(&self, task: TaskId, step: StepNumber, result: &Value) -> Result<Act, Error> {
        let text = limits::to_json(result).map_err(|reason| Error::BadResult(format!("the result {reason}")))?;
        let view = self.parts.store.find_task(task).await?.ok_or(Refusal::NoTask(task))?;
        let pinned = &view.row.pinned;
        if !pinned.has(step) {
            return Err(Refusal::NoStep { task, number: step }.into());
        }
        self.check_given(pinned, step, result)?;
        let says = if pinned.step(step).decides() {
            chosen(pinned, step, result).map(Says::Chosen)
        } else if pinned.step(step).makes_batches() {
            cut(pinned, step, result).map(Says::Cut)
        } else {
            Ok(Says::Nothing)
        };
        Ok(Act::End(step, ByHand::Complete { result: text.into(), says: says.map_err(Error::BadResult)? }))
    }

    /// Does what an operator asks for, once: in one transaction with the record of who did it, and why.
    ///
    /// # Errors
    /// There is no such task or step, their state does not allow it, a reason is missing, or the store fails.
    pub async fn act(&self, task: TaskId, act: Act, actor: &str, reason: &str) -> Result<Reply, Error> {
        Self::check_action(&act, actor, reason)?;
        let action = ActionStamp { id: self.parts.ids.next(), actor: actor.to_owned(), reason: reason.to_owned() };
        let command = Command::Act { task, act, action };
        match self.ask(|answer| Message::Act { command: Box::new(command), answer }).await {
            // Its identity is new, so that it was taken by the commit that nobody answered.
            Err(Error::Refused(Refusal::Repeated(_))) => Ok(Reply { task, state: wait::look(self, task).await? }),
            told => told,
        }
    }

    /// Whether an action could be taken with these words in its record, whatever it is about. What closes something
    /// without its handler needs a reason: nobody could tell later.
    ///
    /// # Errors
    /// The reason is missing, or one of the two cannot be stored.
    pub fn check_action(act: &Act, actor: &str, reason: &str) -> Result<(), Error> {
        check_label("actor", actor)?;
        check_label("reason", reason)?;
        let what = match act {
            Act::Cancel | Act::Retry(_) | Act::Pause | Act::Resume | Act::Expire { .. } => return Ok(()),
            Act::Resolve => "to resolve a task",
            Act::End(_, ByHand::Skip) => "to skip a step",
            Act::End(_, ByHand::Resolve) => "to resolve a step",
            Act::End(_, ByHand::Complete { .. }) => "to complete a step",
        };
        if reason.trim().is_empty() { Err(Error::NoReason(what)) } else { Ok(()) }
    }
}
