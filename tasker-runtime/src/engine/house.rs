//! What is done now and then: what is looked for, stuck handlers given up; and the end of it all.

use tokio::time::Instant;

use super::WakeUp;
use super::attempt::timed_out;
use super::dispatch::Dispatcher;
use crate::core::Command;
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};

impl Dispatcher {
    pub(super) async fn keep_house(&mut self) {
        self.give_up_stuck();
        self.replace_held_threads();
        self.look_for_overdue().await;
        self.restore().await;
        self.look_for_stale();
        self.prune();
        // Wake-ups are hints. Whatever was missed, and whatever becomes ready by the mere passing of time, is found here.
        let polls = self.parts.options.wake_up != WakeUp::EventDrivenOnly && !planted(Bug::PollSkipped);
        if polls && self.parts.store.tells_what_waits() {
            self.check_cancelled().await;
        } else {
            self.want_claim |= polls;
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
