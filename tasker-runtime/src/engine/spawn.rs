//! Attempts on their way to the handlers' threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::attempt::Attempt;
use super::dispatch::Message;

/// An attempt that was sent to the handlers' threads, so that it can be dropped where it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Spawned(Arc<Mutex<Place>>);

#[derive(Debug, Default)]
enum Place {
    #[default]
    OnItsWay,
    Runs(AbortHandle),
    Dropped,
}

impl Spawned {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the handler at its next `await`, or before it begins. Gives what ran, by which it can be seen when it did.
    pub(super) fn abort(&self) -> Option<AbortHandle> {
        let Place::Runs(running) = std::mem::replace(&mut *self.place(), Place::Dropped) else { return None };
        running.abort();
        Some(running)
    }

    /// Whether it has come to its end, or was dropped.
    pub(super) fn is_over(&self) -> bool {
        match &*self.place() {
            Place::OnItsWay => false,
            Place::Runs(running) => running.is_finished(),
            Place::Dropped => true,
        }
    }

    fn start(&self, spawn: impl FnOnce() -> AbortHandle) {
        let mut place = self.place();
        if matches!(*place, Place::OnItsWay) {
            *place = Place::Runs(spawn());
        }
    }
}

/// Starts these attempts; each tells the loop how it ended.
///
/// Many of them are one errand to the handlers' threads: every errand wakes one up.
pub(super) fn start(threads: &Handle, mut attempts: Vec<(Spawned, Attempt)>, tell: &mpsc::WeakSender<Message>) {
    if attempts.len() < 2 {
        if let Some((spawned, attempt)) = attempts.pop() {
            spawned.start(|| threads.spawn(run(attempt, tell.clone())).abort_handle());
        }
        return;
    }
    let tell = tell.clone();
    threads.spawn(async move {
        for (spawned, attempt) in attempts {
            spawned.start(|| tokio::spawn(run(attempt, tell.clone())).abort_handle());
        }
    });
}

async fn run(attempt: Attempt, tell: mpsc::WeakSender<Message>) {
    let finished = attempt.run().await;
    if let Some(tell) = tell.upgrade() {
        // A loop that is gone gave its claims back.
        let _ = tell.send(Message::Finished(Box::new(finished))).await;
    }
}
