//! Looks for what other processes wrote, and for what is due by now.

use tasker_types::TaskId;
use tokio::time::Instant;

use super::WakeUp;
use super::dispatch::{Dispatcher, HOUSEKEEPING};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

impl Dispatcher {
    /// Looks for what other processes wrote.
    pub(super) async fn look(&mut self) {
        if planted(Bug::PollSkipped) {
            return;
        }
        match self.parts.store.version().await {
            Ok(version) if self.seen_version != Some(version) => {
                // Whatever of this fails forgets it again, and is done anew at the next look.
                self.seen_version = Some(version);
                self.look_at_all().await;
                self.want_claim = true;
            }
            // Who goes by hints may have missed one of its own.
            Ok(_) => self.want_claim |= self.parts.options.wake_up == WakeUp::EventDrivenOnly,
            Err(error) => tracing::warn!(%error, "the database cannot be read"),
        }
    }

    async fn look_at_all(&mut self) {
        self.refresh_queues().await;
        self.due().await;
        self.check_cancelled().await;
    }

    /// Other processes say that there is something to look at.
    pub(super) async fn hinted(&mut self) {
        let said = self.hints.take();
        if said.events {
            self.events.heard();
        }
        if said.other {
            self.look_at_all().await;
        }
        self.want_claim |= said.ready || said.other;
    }

    /// Another process may have cancelled tasks that run here.
    pub(super) async fn check_cancelled(&mut self) {
        let mut tasks: Vec<TaskId> = self.running.keys().map(|step| step.task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        if tasks.is_empty() {
            return;
        }
        match self.parts.store.cancelling(tasks).await {
            Ok(cancelling) => cancelling.into_iter().for_each(|task| {
                mark(Mark::CancelFoundByLooking);
                self.cancel_running(task);
            }),
            Err(error) => {
                tracing::warn!(%error, "the database cannot be read");
                self.seen_version = None;
            }
        }
    }

    pub(super) async fn due(&mut self) {
        match self.parts.store.due(self.parts.clock.told()).await {
            Ok(due) => {
                self.next_retry = due.next.map(|left| Instant::now() + left);
                self.want_claim |= due.ready > 0;
            }
            Err(error) => {
                tracing::warn!(%error, "due retries cannot be made ready; tried again soon");
                self.next_retry = Some(Instant::now() + HOUSEKEEPING);
            }
        }
    }
}
