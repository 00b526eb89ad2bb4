//! The heartbeat: renews the lease of this worker, whatever else the process does.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::dispatch::Message;
use super::{Clock, Error, Parts};
use crate::core::QueueId;
use crate::store::{LeaseAct, LeaseRequest, Leased, Store, StoreError};

/// How often a lease is renewed in the time that it lasts; where that fails, four times as often.
const BEATS: u32 = 4;

/// Renews a lease until the loop lets go of it, or until the database says that it has ended. What the worker runs meanwhile goes
/// on while the database is away: nobody else can take it either.
pub(super) struct Heartbeat {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) request: LeaseRequest,
    pub(super) queues: watch::Receiver<Arc<[QueueId]>>,
    pub(super) told: mpsc::WeakSender<Message>,
}

impl Heartbeat {
    /// On a thread of its own: neither handlers nor the loop can keep it waiting. In a test, where one thread does
    /// everything, beside them.
    pub(super) fn start(self, parts: &Parts, begun: oneshot::Sender<Result<Leased, StoreError>>) -> Result<(), Error> {
        if parts.threads.are_shared() {
            tokio::spawn(self.run(begun));
            return Ok(());
        }
        let spawned = std::thread::Builder::new().name("tasker-heartbeat".to_owned()).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(self.run(begun)),
                Err(error) => drop(begun.send(Err(no_thread(&error)))),
            }
        });
        spawned.map(drop).map_err(|error| no_thread(&error).into())
    }

    async fn run(mut self, begun: oneshot::Sender<Result<Leased, StoreError>>) {
        let begin = LeaseRequest { act: LeaseAct::Begin, ..self.asked() };
        let began = self.store.lease(begin).await;
        let held = began.as_ref().is_ok_and(|leased| leased.held);
        // Who went away does not want to know.
        let _ = begun.send(began);
        if held {
            self.beat().await;
        }
    }

    async fn beat(mut self) {
        let calm = self.request.lease / BEATS;
        let mut pause = calm;
        loop {
            tokio::select! {
                biased;
                changed = self.queues.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
            let renew = self.asked();
            let renewed = tokio::time::timeout(calm, self.store.lease(renew)).await;
            let leased = match renewed {
                Ok(Ok(leased)) => leased,
                failed => {
                    tracing::warn!(error = ?failed.map(|answer| answer.err()), "the lease could not be renewed; tried again soon");
                    pause = calm / BEATS;
                    continue;
                }
            };
            pause = calm;
            let Some(told) = self.told.upgrade() else { return };
            let sent = told.send(Message::Beat(self.request.worker, leased)).await;
            if sent.is_err() || !leased.held {
                return;
            }
        }
    }

    fn asked(&mut self) -> LeaseRequest {
        let queues = self.queues.borrow_and_update().clone();
        LeaseRequest { queues, now: self.clock.told(), ..self.request.clone() }
    }
}

fn no_thread(error: &std::io::Error) -> StoreError {
    StoreError::Open(format!("the heartbeat's thread cannot be started: {error}"))
}
