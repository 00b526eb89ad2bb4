//! What an operator does to every task that a filter admits.
//!
//! Tasks are taken from the newest to the oldest, a page at a time. An id says when its task was accepted: what is
//! accepted meanwhile is newer than the first page and is left alone, so that the walk comes to an end.

use std::cmp::Reverse;

use tasker_types::{TaskId, TaskState};
use tokio::task::JoinSet;

use super::{Engine, Error};
use crate::core::{Act, Reply};
use crate::store::{ListedTask, Page, TaskFilter};

/// Tasks that are acted on at once: they share commits.
const PAGE: u32 = 64;

/// What is to be done to many tasks.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// Which tasks. Where it names no states, those in which the action makes sense.
    filter: TaskFilter,
    act: Act,
    actor: String,
    reason: String,
}

/// One task that was acted on, and what came of it.
pub type Acted = (TaskId, Result<Reply, Error>);

impl Bulk {
    /// Does this to every task that the filter admits. Where it names no states: retries and resolves what failed,
    /// pauses and cancels what is not over, resumes what is paused.
    ///
    /// # Errors
    /// The action is about one step, a reason is missing, or the record cannot be stored.
    pub fn new(mut filter: TaskFilter, act: Act, actor: &str, reason: &str) -> Result<Self, Error> {
        if act.step().is_some() {
            return Err(Error::BadRequest("what is done to a step is done to one task at a time".to_owned()));
        }
        if matches!(act, Act::Expire { .. }) {
            return Err(Error::BadRequest("when each task could start is known of one at a time".to_owned()));
        }
        Engine::check_action(&act, actor, reason)?;
        if filter.states.is_empty() {
            filter.states = states(&act).to_vec();
        }
        Ok(Self { filter, act, actor: actor.to_owned(), reason: reason.to_owned() })
    }
}

/// The states of tasks that are meant where none is named.
fn states(act: &Act) -> &'static [TaskState] {
    use TaskState::{Failed, Paused, Pending, Running};
    match act {
        Act::Cancel => &[Pending, Running, Paused],
        Act::Pause => &[Pending, Running],
        Act::Resume => &[Paused],
        Act::Retry(_) | Act::Resolve | Act::End(..) => &[Failed],
        Act::Expire { .. } => &[Running],
    }
}

impl Engine {
    /// The tasks that would be acted on, newest first: a page of them. Nothing is changed.
    ///
    /// # Errors
    /// The store fails.
    pub async fn meant(&self, bulk: &Bulk, page: Page) -> Result<Vec<ListedTask>, Error> {
        Ok(self.parts.store.list_tasks(bulk.filter.clone(), page).await?)
    }

    /// Acts on a page of tasks, each in its own right: one that refuses holds up no other. Tells what came of each, in
    /// the order of the page; of an empty page there is nothing left.
    ///
    /// # Errors
    /// The store fails before anything was done.
    pub async fn act_on_page(&self, bulk: &Bulk, page: Page) -> Result<Vec<Acted>, Error> {
        let tasks: Vec<TaskId> = self.meant(bulk, page).await?.iter().map(|listed| listed.row.id).collect();
        let mut acting = JoinSet::new();
        for &task in &tasks {
            let (engine, bulk) = (self.clone(), bulk.clone());
            acting.spawn(async move { (task, engine.act(task, bulk.act, &bulk.actor, &bulk.reason).await) });
        }
        let mut acted = acting.join_all().await;
        acted.sort_by_key(|(task, _)| Reverse(*task));
        Ok(acted)
    }

    /// Acts on all tasks, a page after the other, and tells what came of each as it goes on: one that refuses, since it
    /// has changed meanwhile, holds up no other.
    ///
    /// # Errors
    /// The store fails: what was told until then is done. The page during which it failed is told to its end.
    pub async fn act_on_all(&self, bulk: &Bulk, mut tell: impl FnMut(&Acted)) -> Result<(), Error> {
        let mut before = None;
        loop {
            let acted = self.act_on_page(bulk, Page { before, limit: PAGE }).await?;
            let Some((last, _)) = acted.last() else { return Ok(()) };
            before = Some(*last);
            acted.iter().for_each(&mut tell);
            for (_, answer) in acted {
                match answer {
                    Ok(_) | Err(Error::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
