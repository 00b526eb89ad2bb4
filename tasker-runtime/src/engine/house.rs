//! What is done now and then: stuck handlers given up, finished tasks pruned; and the end of it all.

use std::time::Duration;

use tokio::time::Instant;

use super::WakeUp;
use super::attempt::timed_out;
use super::dispatch::Dispatcher;
use crate::core::Command;
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

/// How often finished tasks are pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Tasks that are pruned in one transaction.
const PRUNE_MAX: u32 = 500;

impl Dispatcher {
    pub(super) async fn keep_house(&mut self) {
        self.give_up_stuck();
        self.replace_held_threads();
        self.look_for_overdue().await;
        self.restore().await;
        self.look_for_stale();
        // Wake-ups are hints. Whatever was missed, and whatever becomes ready by the mere passing of time, is found here.
        let polls = self.parts.options.wake_up != WakeUp::EventDrivenOnly && !planted(Bug::PollSkipped);
        if polls && self.parts.store.tells_what_waits() {
            self.check_cancelled().await;
        } else {
            self.want_claim |= polls;
        }
        let Some(retention) = self.parts.options.retention.filter(|_| self.claims()) else { return };
        if self.pruned_at.elapsed() < PRUNE_EVERY {
            return;
        }
        match self.parts.store.prune(retention, PRUNE_MAX, self.parts.clock.told()).await {
            // A full hand: the next second goes on.
            Ok(gone) if gone >= u64::from(PRUNE_MAX) => {}
            Ok(_) => self.pruned_at = Instant::now(),
            Err(error) => tracing::warn!(%error, "finished tasks cannot be pruned"),
        }
    }

    /// A handler that never yields cannot be stopped. Its attempt ends all the same, and its thread is replaced.
    fn give_up_stuck(&mut self) {
        // An outcome that waits to be taken in has not overrun, however long the store takes; here it may wait for a place.
        if self.inbox.capacity() == 0 {
            return;
        }
        let now = Instant::now();
        let mut stuck = Vec::new();
        for (&step, running) in &mut self.running {
            let runs = running.spawned.as_ref().is_some_and(|spawned| !spawned.is_over());
            if let Some(overrun) = running.overrun.take_if(|overrun| runs && overrun.is_due(now)) {
                stuck.push((step, running.attempt, overrun.limit));
                if let Some(spawned) = running.spawned.take() {
                    spawned.abort();
                }
            }
        }
        for (step, attempt, limit) in stuck {
            tracing::warn!(task = %step.task, step = %step.number, "a handler holds its thread beyond its time limit and was given up");
            self.parts.threads.lose_thread();
            self.end(step, attempt, timed_out(step, attempt, limit));
        }
    }

    /// Whether everything has come to its end; what takes too long is given back.
    pub(super) async fn drained(&mut self) -> bool {
        if self.running.is_empty() && self.held.is_empty() && self.shipping.is_empty() && !self.doubt.raised {
            return true;
        }
        let overdue = self.stopping.is_some_and(|since| since.elapsed() >= self.parts.options.drain);
        if !overdue {
            return false;
        }
        mark(Mark::DrainReleased);
        let mut releases = std::mem::take(&mut self.give_back);
        for (step, running) in std::mem::take(&mut self.running) {
            running.stop();
            releases.push(Command::Release { step, attempt: running.attempt, worker: running.worker });
        }
        if let Err(error) = self.transact(releases).await {
            tracing::error!(%error, "claims could not be given back: the next worker takes them for lost");
        }
        true
    }
}
