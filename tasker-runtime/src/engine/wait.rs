//! Who waits for the end of which task.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
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

    pub(super) fn register(&self, task: TaskId) -> oneshot::Receiver<TaskState> {
        let (tell, told) = oneshot::channel();
        let mut all = self.all();
        let waiters = all.entry(task).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.push(tell);
        told
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

/// Waits for a task that may be over already.
pub(super) async fn wait(engine: &Engine, task: TaskId) -> Result<TaskState, Error> {
    let told = engine.waiting.register(task);
    match look(engine, task).await? {
        state if state.is_over() => Ok(state),
        _ => wait_for(engine, task, told).await,
    }
}

/// Waits to be told. The store is looked at again and again all the same: another process may run the task.
pub(super) async fn wait_for(
    engine: &Engine,
    task: TaskId,
    mut told: oneshot::Receiver<TaskState>,
) -> Result<TaskState, Error> {
    loop {
        tokio::select! {
            biased;
            state = &mut told => match state {
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

/// A store that is away for a moment does not end the wait: the task goes on.
async fn look(engine: &Engine, task: TaskId) -> Result<TaskState, Error> {
    loop {
        match engine.store().task_state(task).await {
            Ok(state) => return state.ok_or_else(|| Error::NoTask(task.to_string())),
            Err(error) if !error.is_final() => tokio::time::sleep(LOOK_AGAIN).await,
            Err(error) => return Err(error.into()),
        }
    }
}
