//! Tasks that take longer than their template allows.

use std::sync::Arc;
use std::time::Duration;

use tasker_types::template::Lifecycle;
use tasker_types::{StalenessAction, StepState, TaskId, TaskState, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::dispatch::{Dispatcher, Message};
use super::{Error, Parts};
use crate::core::{Act, ActionStamp, Command};
use crate::store::{ListedTask, Page, StoreError, TaskFilter, TaskView};

/// How often they are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Tasks that are read at once.
const PAGE: u32 = 100;
/// Who ends them, in the record.
const ACTOR: &str = "tasker";

impl Dispatcher {
    /// Looks for them now and then, beside the loop. Several workers may do so at once: what one of them ended, the others find ended.
    pub(super) fn look_for_stale(&mut self) {
        if !self.claims() || self.stale_at.elapsed() < LOOK_EVERY {
            return;
        }
        self.stale_at = Instant::now();
        let sweep = Sweep { parts: self.parts.clone(), tell: self.myself.clone() };
        tokio::spawn(async move {
            if let Err(error) = sweep.run().await {
                tracing::warn!(%error, "tasks that take too long cannot be looked for; tried again later");
            }
        });
    }
}

struct Sweep {
    parts: Arc<Parts>,
    tell: mpsc::WeakSender<Message>,
}

impl Sweep {
    async fn run(&self) -> Result<(), StoreError> {
        let limited = self.parts.store.with_lifecycle().await?;
        let mut names: Vec<(&str, &str)> =
            limited.iter().map(|pinned| (&*pinned.template.namespace, &*pinned.template.name)).collect();
        names.sort_unstable();
        names.dedup();
        for (namespace, name) in names {
            let of_name = limited
                .iter()
                .filter(|pinned| (&*pinned.template.namespace, &*pinned.template.name) == (namespace, name));
            // One version may allow less than another.
            let least = of_name.filter_map(|pinned| pinned.template.lifecycle).map(|limit| limit.max_duration()).min();
            let accepted_before = self.parts.clock.now().before(least.unwrap_or(Duration::MAX));
            let filter = TaskFilter {
                states: vec![TaskState::Pending, TaskState::Running],
                template: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..TaskFilter::default()
            };
            self.look_at(filter, TaskId::first_of(accepted_before)).await?;
        }
        Ok(())
    }

    async fn look_at(&self, filter: TaskFilter, mut before: TaskId) -> Result<(), StoreError> {
        loop {
            let page = Page { before: Some(before), limit: PAGE };
            let listed = self.parts.store.list_tasks(filter.clone(), page).await?;
            let Some(last) = listed.last() else { return Ok(()) };
            before = last.row.id;
            for ListedTask { row, .. } in &listed {
                if let Some(limit) = row.pinned.template.lifecycle.filter(|limit| self.is_over(*limit, row.created_at))
                {
                    self.end(row.id, limit).await?;
                }
            }
        }
    }

    fn is_over(&self, limit: Lifecycle, since: Timestamp) -> bool {
        since + limit.max_duration() <= self.parts.clock.now()
    }

    async fn end(&self, id: TaskId, limit: Lifecycle) -> Result<(), StoreError> {
        let Some(view) = self.parts.store.find_task(id).await? else { return Ok(()) };
        if !self.is_over(limit, could_start(&view)) {
            return Ok(());
        }
        // An operator who lets it go on gives it its time once more.
        let again = view
            .actions
            .iter()
            .filter(|action| matches!(action.kind, "retry" | "resume"))
            .map(|action| action.at)
            .max();
        if again.is_some_and(|again| !self.is_over(limit, again)) {
            return Ok(());
        }
        let mut refused = 0;
        let acts = acts(&view, limit.staleness_action);
        let count = acts.len();
        for act in acts {
            refused += usize::from(self.act(id, act, limit).await.is_err());
        }
        if refused < count {
            tracing::warn!(task = %id, action = limit.staleness_action.as_str(), "the task took longer than {} minutes", limit.max_duration_minutes);
        }
        Ok(())
    }

    async fn act(&self, task: TaskId, act: Act, limit: Lifecycle) -> Result<(), Error> {
        let reason = format!("it took longer than {} minutes", limit.max_duration_minutes);
        let action = ActionStamp { id: self.parts.ids.next(), actor: ACTOR.to_owned(), reason };
        let (answer, told) = oneshot::channel();
        let command = Box::new(Command::Act { task, act, action });
        let Some(tell) = self.tell.upgrade() else { return Ok(()) };
        // A loop that is gone leaves it to the next one.
        let _ = tell.send(Message::Act { command, answer }).await;
        told.await.map_or(Ok(()), |told| told.map(drop))
    }
}

/// When the first steps of a task could start: where it was submitted for later, then.
fn could_start(view: &TaskView) -> Timestamp {
    let row = &view.row;
    let roots = view.steps.iter().filter(|step| row.pinned.parents(step.number).is_empty());
    // A step that is tried again was ready for the first time before its task started.
    let ready = roots.filter_map(|step| step.ready_at).chain(row.started_at).min();
    ready.map_or(row.created_at, |at| at.max(row.created_at))
}

/// What ends a task that takes too long. Steps that run come to their end; what they make ready is ended by the next look.
fn acts(view: &TaskView, action: StalenessAction) -> Vec<Act> {
    match action {
        StalenessAction::Cancel => vec![Act::Cancel],
        StalenessAction::Pause => vec![Act::Pause],
        StalenessAction::Dlq => {
            let waits = |state| matches!(state, StepState::Ready | StepState::WaitingForRetry);
            view.steps.iter().filter(|step| waits(step.state)).map(|step| Act::Expire(step.number)).collect()
        }
    }
}
