//! Claims without an outcome after the time that the request of their task gives them: they count as lost, whatever their
//! workers do, and who runs such an attempt gives it up.

use tokio::task::AbortHandle;
use tokio::time::Instant;

use tasker_types::TaskId;

use super::dispatch::{Dispatcher, OVERRUN, Running};
use super::lease::CLAIMS_MAX;
use crate::core::{Command, Loss, StepRef};
use crate::mark::{Mark, mark};
use crate::store::StoreError;

/// Attempts that were given up, until it is known that they let go of their threads.
#[derive(Debug, Default)]
pub(super) struct GivenUp(Vec<(Instant, AbortHandle)>);

impl GivenUp {
    /// This was just dropped.
    pub(super) fn watch(&mut self, dropped: Option<AbortHandle>) {
        self.0.extend(dropped.map(|handle| (Instant::now() + OVERRUN, handle)));
    }
}

impl Dispatcher {
    /// A worker that has its database for itself looks at what it runs: nobody else claims.
    pub(super) async fn look_for_overdue(&mut self) {
        if self.parts.options.lease.is_some() || self.running.is_empty() || !self.claims() {
            return;
        }
        let mut tasks: Vec<TaskId> = self.running.keys().map(|step| step.task).collect();
        tasks.dedup();
        if let Err(error) = self.lose_overdue(Some(tasks)).await {
            tracing::warn!(%error, "claims that are held for too long cannot be looked for; tried again soon");
        }
    }

    /// Takes claims back that are held for too long: of these tasks, or of all.
    pub(super) async fn lose_overdue(&mut self, of: Option<Vec<TaskId>>) -> Result<(), StoreError> {
        loop {
            let claims = self.parts.store.overdue(of.clone(), self.parts.clock.told(), CLAIMS_MAX).await?;
            let are_all = claims.len() < CLAIMS_MAX as usize;
            if claims.is_empty() {
                return Ok(());
            }
            mark(Mark::OverdueLost);
            tracing::warn!(
                steps = claims.len(),
                "took back steps without an outcome after the claim timeout of their tasks"
            );
            let lose = |&(step, attempt, worker)| Command::Lose { step, attempt, worker, loss: Loss::TimeUp };
            self.transact(claims.iter().map(lose).collect()).await?;
            for (step, attempt, _) in claims {
                self.give_up(step, attempt);
            }
            self.want_claim = true;
            if are_all {
                return Ok(());
            }
        }
    }

    /// The claim of an attempt that runs here is held no more: it is dropped where it stands, for another one may run by now.
    pub(super) fn give_up(&mut self, step: StepRef, attempt: u32) {
        let runs = |running: &&mut Running| running.attempt == attempt && !running.has_ended;
        let Some(running) = self.running.get_mut(&step).filter(runs) else { return };
        self.given_up.watch(running.stop());
        self.release_slot(step, attempt);
        self.want_claim = true;
    }

    /// A handler that never yields holds its thread although it was given up: another one takes its place.
    pub(super) fn replace_held_threads(&mut self) {
        let now = Instant::now();
        let Self { given_up, parts, .. } = self;
        given_up.0.retain(|(at, handle)| {
            if *at <= now && !handle.is_finished() {
                tracing::warn!("a handler holds its thread although its attempt was given up");
                parts.threads.lose_thread();
            }
            *at > now && !handle.is_finished()
        });
    }
}
