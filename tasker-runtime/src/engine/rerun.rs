//! A task that is over is run again from one of its steps on, as a new task.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tasker_types::{Start, StepNumber, StepState, TaskId};

use super::dispatch::Message;
use super::limits::{self, check_label};
use super::submit::check_context;
use super::{Engine, Error};
use crate::core::{ActionStamp, Command, NewTask, Refusal, Rerun, TaskInput, chosen};
use crate::store::TaskView;

impl Engine {
    /// Runs a task that is over again from one of its steps on, as a new task on the template of the old one. What comes
    /// neither at nor after the step, and completed, was skipped or was resolved, is taken over as it stands; the rest is
    /// run anew. The new task has the context of the old one, unless another is given: what is taken over was made
    /// with the old one all the same. The old task is left alone.
    ///
    /// # Errors
    /// There is no such task or step, the task is not over, the step cannot run (a decision before it did not choose
    /// it), the context does not fit, or the store fails; nothing was stored.
    pub async fn rerun(
        &self,
        task: TaskId,
        from: StepNumber,
        context: Option<&Value>,
        actor: &str,
        reason: &str,
    ) -> Result<TaskId, Error> {
        check_label("actor", actor)?;
        check_label("reason", reason)?;
        let view = self.parts.store.find_task(task).await?.ok_or(Refusal::NoTask(task))?;
        let pinned = view.row.pinned.clone();
        let context = match context {
            Some(context) => {
                check_context(&pinned, context)?;
                self.check_schema(&pinned, context)?;
                self.check_taken(&pinned, context)?;
                limits::to_json(context).map_err(Error::BadContext)?.into()
            }
            None => view.input.context.clone(),
        };
        let chosen = chosen_in(&view)?;
        let id = TaskId::from_uuid(self.parts.ids.next());
        let input = TaskInput { context, ..view.input };
        // The request made the source: this is another task, and known by nothing.
        let new = NewTask { id, pinned, input, priority: view.row.priority, known_by: None, start: Start::Now };
        let action = ActionStamp { id: self.parts.ids.next(), actor: actor.to_owned(), reason: reason.to_owned() };
        let rerun = Rerun { new, source: task, from, chosen, action };
        let command = Box::new(Command::Rerun(Box::new(rerun)));
        match self.ask(|answer| Message::Act { command, answer }).await {
            // A first commit of it, of which no answer came, was written.
            Ok(_) | Err(Error::Refused(Refusal::Repeated(_))) => Ok(id),
            Err(error) => Err(error),
        }
    }
}

/// What each completed decision of the task chose.
fn chosen_in(view: &TaskView) -> Result<BTreeMap<StepNumber, Arc<[StepNumber]>>, Error> {
    let pinned = &view.row.pinned;
    let decisions = view.steps.iter().filter(|step| pinned.step(step.number).decides());
    let completed = decisions.filter(|step| step.state == StepState::Completed);
    completed
        .map(|step| {
            let result = step.result.as_ref().unwrap_or(&Value::Null);
            Ok((step.number, chosen(pinned, step.number, result).map_err(Error::BadResult)?))
        })
        .collect()
}
