//! Who waits for the end of which task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tasker_types::{TaskId, TaskState};
use tokio::sync::{broadcast, oneshot};

use super::{Engine, Error};

/// How often a task that another process runs is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Ends of tasks that are kept for who listens and is slow.
const ENDS_KEPT: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    waiters: Mutex<HashMap<TaskId, Vec<oneshot::Sender<TaskState>>>>,
    /// Made when somebody first listens.
    ends: OnceLock<broadcast::Sender<(TaskId, TaskState)>>,
}

impl Waiting {
    fn all(&self) -> MutexGuard<'_, HashMap<TaskId, Vec<oneshot::Sender<TaskState>>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(self: &Arc<Self>, task: TaskId) -> Told {
        let (tell, told) = oneshot::channel();
        self.all().entry(task).or_default().push(tell);
        Told { told, task, waiting: self.clone() }
    }

    /// Who waits no more is forgotten, whoever ended the task.
    fn forget(&self, task: TaskId) {
        let mut all = self.all();
        if let Some(waiters) = all.get_mut(&task) {
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                all.remove(&task);
            }
        }
    }

    /// The ends of all tasks that end here from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<(TaskId, TaskState)> {
        self.ends.get_or_init(|| broadcast::channel(ENDS_KEPT).0).subscribe()
    }

    pub(super) fn tell(&self, task: TaskId, state: TaskState) {
        if let Some(ends) = self.ends.get() {
            // Nobody may be listening any more.
            let _ = ends.send((task, state));
        }
        for waiter in self.all().remove(&task).unwrap_or_default() {
            // Who went away does not want to know.
            let _ = waiter.send(state);
        }
    }
}

/// The word that a task has come to its end, where it ends in this process.
#[derive(Debug)]
pub(super) struct Told {
    told: oneshot::Receiver<TaskState>,
    task: TaskId,
    waiting: Arc<Waiting>,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.told.close();
        self.waiting.forget(self.task);
    }
}

/// Waits for a task that may be over already.
pub(super) async fn wait(engine: &Engine, task: TaskId) -> Result<TaskState, Error> {
    let told = engine.waiting.register(task);
    match look(engine, task).await? {
        state if state.is_over() => Ok(state),
        _ => wait_for(engine, task, told).await,
    }
}

/// Waits to be told. The store is looked at again and again all the same: another process may run the task.
pub(super) async fn wait_for(engine: &Engine, task: TaskId, mut told: Told) -> Result<TaskState, Error> {
    loop {
        tokio::select! {
            biased;
            state = &mut told.told => match state {
                Ok(state) => return Ok(state),
                Err(_) => told = engine.waiting.register(task),
            },
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        let state = look(engine, task).await?;
        if state.is_over() {
            return Ok(state);
        }
    }
}

/// The state of a task. A store that is away for a moment is asked again.
pub(super) async fn look(engine: &Engine, task: TaskId) -> Result<TaskState, Error> {
    loop {
        match engine.store().task_state(task).await {
            Ok(state) => return state.ok_or_else(|| Error::NoTask(task.to_string())),
            Err(error) if !error.is_final() => tokio::time::sleep(LOOK_AGAIN).await,
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::sample::task;

    #[test]
    fn who_waits_no_more_is_forgotten() {
        let waiting = Arc::new(Waiting::default());
        let (one, mut other) = (waiting.register(task(1)), waiting.register(task(1)));
        drop(one);
        assert_eq!(waiting.all()[&task(1)].len(), 1);
        waiting.tell(task(1), TaskState::Completed);
        assert_eq!(other.told.try_recv(), Ok(TaskState::Completed));
        drop((other, waiting.register(task(2))));
        assert!(waiting.all().is_empty());
    }
}
