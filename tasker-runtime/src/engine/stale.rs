//! Tasks that take longer than their template allows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tasker_types::{StalenessAction, StepState, TaskId, TaskState, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::dispatch::{Dispatcher, Message};
use super::{Error, Parts};
use crate::core::{Act, ActionStamp, Command, Pinned, Say, out_of_time_at};
use crate::pace::{minute, minutes};
use crate::store::{ListedTask, Page, StoreError, TaskFilter, TaskView};

/// Tasks that are read at once.
const PAGE: u32 = 100;
/// Tasks of which it is remembered until when nothing is to be done about them; the others are read again at each look.
const KNOWN_MAX: usize = 10_000;
/// Who ends them, in the record.
const ACTOR: &str = "tasker";

/// The looks of this process.
pub(super) struct Stale {
    last: Instant,
    /// The look that is under way, or was the last.
    look: Option<JoinHandle<()>>,
    known: Known,
}

/// Before when there is nothing to do about a task.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<BTreeMap<TaskId, Timestamp>>>);

impl Stale {
    pub(super) fn new() -> Self {
        Self { last: Instant::now(), look: None, known: Known::default() }
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatcher {
    /// Looks for them twice a minute, beside the loop, one look at a time. Several workers may do so at once: what one of them
    /// ended, the others find ended.
    pub(super) fn look_for_stale(&mut self) {
        let is_under_way = self.stale.look.as_ref().is_some_and(|look| !look.is_finished());
        if !self.claims() || is_under_way || self.stale.last.elapsed() < minute() / 2 {
            return;
        }
        self.stale.last = Instant::now();
        let sweep = Sweep { parts: self.parts.clone(), tell: self.myself.clone(), known: self.stale.known.clone() };
        self.stale.look = Some(tokio::spawn(async move {
            if let Err(error) = sweep.run().await {
                tracing::warn!(%error, "tasks that take too long cannot be looked for; tried again later");
            }
        }));
    }
}

struct Sweep {
    parts: Arc<Parts>,
    tell: mpsc::WeakSender<Message>,
    known: Known,
}

impl Sweep {
    async fn run(&self) -> Result<(), StoreError> {
        let limited = self.parts.store.with_lifecycle().await?;
        let now = self.parts.clock.now();
        self.known.lock().retain(|_, until| *until > now);
        let mut by_name: BTreeMap<(&str, &str), Vec<&Pinned>> = BTreeMap::new();
        for pinned in &limited {
            by_name.entry((&pinned.template.namespace, &pinned.template.name)).or_default().push(pinned);
        }
        for ((namespace, name), versions) in by_name {
            let limits = || versions.iter().filter_map(|pinned| pinned.template.lifecycle);
            // One version may allow less than another.
            let least = limits().map(|limit| limit.max_duration_minutes).min().unwrap_or(u32::MAX);
            let mut states = vec![TaskState::Pending, TaskState::Running];
            // What is paused until its last steps are over.
            if limits().any(|limit| limit.staleness_action == StalenessAction::Dlq) {
                states.push(TaskState::Paused);
            }
            let filter = TaskFilter {
                states,
                template: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..TaskFilter::default()
            };
            self.look_at(filter, TaskId::first_of(now.before(minutes(least)))).await?;
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
                let limit = row.pinned.template.lifecycle.map(|limit| minutes(limit.max_duration_minutes));
                let may_be_over = limit.is_some_and(|limit| row.created_at + limit <= self.parts.clock.now());
                if may_be_over && !self.known.lock().contains_key(&row.id) {
                    self.look_into(row.id).await?;
                }
            }
        }
    }

    async fn look_into(&self, id: TaskId) -> Result<(), StoreError> {
        let Some(view) = self.parts.store.find_task(id).await? else { return Ok(()) };
        let said = view.actions.iter().filter_map(|action| Some((action.at, Say::of(action.kind)?))).max();
        let (could_start, now) = (could_start(&view), self.parts.clock.now());
        match out_of_time_at(&view.row, could_start, said, now) {
            Some(at) if at > now => {
                let mut known = self.known.lock();
                if known.len() < KNOWN_MAX {
                    known.insert(id, at);
                }
            }
            Some(_) if view.row.state != TaskState::Paused || waits(&view) => self.end(&view, could_start).await,
            _ => {}
        }
        Ok(())
    }

    /// Does to it what its template says, unless its time is not over any more when that is decided.
    async fn end(&self, view: &TaskView, could_start: Timestamp) {
        let Some(limit) = view.row.pinned.template.lifecycle else { return };
        let reason = format!("it took longer than {} minutes", limit.max_duration_minutes);
        let action = ActionStamp { id: self.parts.ids.next(), actor: ACTOR.to_owned(), reason };
        let (answer, told) = oneshot::channel();
        let command = Box::new(Command::Act { task: view.row.id, act: Act::Expire { could_start }, action });
        // A loop that is gone leaves it to the next one.
        let Some(tell) = self.tell.upgrade() else { return };
        let _ = tell.send(Message::Act { command, answer }).await;
        // The engine must be able to end while this waits.
        drop(tell);
        match told.await {
            Ok(Ok(_)) => {
                tracing::warn!(task = %view.row.id, action = limit.staleness_action.as_str(), "the task took longer than {} minutes", limit.max_duration_minutes);
            }
            // Another worker ended it, or an operator lets it go on.
            Ok(Err(Error::Refused(_))) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::warn!(task = %view.row.id, %error, "a task that takes too long could not be ended; tried again later");
            }
        }
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

/// Whether something of it is ready or waits for its retry.
fn waits(view: &TaskView) -> bool {
    view.steps.iter().any(|step| matches!(step.state, StepState::Ready | StepState::WaitingForRetry))
}
