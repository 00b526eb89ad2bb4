//! This worker's lease: begun before the first claim, renewed by a heartbeat, and what is done when it has ended.

use std::sync::Arc;
use std::time::Duration;

use tasker_types::WorkerId;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::dispatch::{Dispatcher, Worker};
use super::heartbeat::Heartbeat;
use super::{Error, Recovered};
use crate::core::{Command, Loss, QueueId, StepRef};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};
use crate::store::{LeaseAct, LeaseRequest, Leased, StoreError, Whose};

/// The lease of a worker that has its database for itself: it ends when another one begins.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Claims of dead workers that are read at once.
pub(super) const CLAIMS_MAX: u32 = 256;
/// Every this many-th beat sweeps, also of a worker that need not: the one that should may be stuck.
const SWEEP_EVERY: u64 = 8;
/// How long the database has to take the word that a lease is given up.
const RETIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The lease of this worker, as the loop knows it.
#[derive(Debug)]
pub(super) struct Lease {
    beats: u64,
    /// Claims that nothing here runs, as of the last look, and when that was.
    suspects: Vec<(StepRef, u32)>,
    suspected_at: Option<Instant>,
    /// Told to the heartbeat, which ends with it.
    queues: watch::Sender<Arc<[QueueId]>>,
}

impl Lease {
    /// From now on the worker has these queues. Tells whether that is new.
    pub(super) fn tell(&self, queues: &Arc<[QueueId]>) -> bool {
        self.queues.send_if_modified(|told| {
            let new = told != queues;
            *told = queues.clone();
            new
        })
    }
}

impl Dispatcher {
    /// A new incarnation of this process's worker, with a lease.
    pub(super) async fn enroll(&mut self) -> Result<Worker, Error> {
        let id = WorkerId(self.parts.ids.next());
        let options = &self.parts.options;
        let (queues, heard) = watch::channel(Arc::from([]));
        let request = self.lease_request(id, LeaseAct::Renew);
        let begun = if options.lease.is_some() {
            let (begun, told) = oneshot::channel();
            let (store, clock) = (self.parts.store.clone(), self.parts.clock.clone());
            Heartbeat { store, clock, request, queues: heard, told: self.myself.clone() }.start(&self.parts, begun)?;
            told.await.map_err(|_| Error::Stopped)??
        } else {
            self.end_other_leases().await?;
            self.parts.store.lease(LeaseRequest { act: LeaseAct::Begin, ..request }).await?
        };
        if !begun.held {
            return Err(StoreError::Unavailable("the lease ended before it could be used".into()).into());
        }
        Ok(Worker::new(id, Lease { beats: 0, suspects: Vec::new(), suspected_at: None, queues }))
    }

    /// Writes down which queues this worker takes from, for those who look who could run a step.
    pub(super) async fn tell_queues(&mut self) {
        let Some(worker) = &self.worker else { return };
        let changed = worker.lease.tell(&worker.queues);
        if !changed || self.parts.options.lease.is_some() {
            return;
        }
        let renew = self.lease_request(worker.id, LeaseAct::Renew);
        if let Err(error) = self.parts.store.lease(renew).await {
            tracing::warn!(%error, "the queues of this worker could not be written down");
        }
    }

    fn lease_request(&self, worker: WorkerId, act: LeaseAct) -> LeaseRequest {
        let options = &self.parts.options;
        LeaseRequest {
            worker,
            act,
            label: options.label.as_str().into(),
            queues: self.worker.as_ref().map(|worker| worker.queues.clone()).unwrap_or_default(),
            lease: options.lease.unwrap_or(FOR_EVER),
            now: self.parts.clock.told(),
        }
    }

    /// This process has the database for itself: whoever else had a lease is dead.
    async fn end_other_leases(&mut self) -> Result<(), StoreError> {
        let now = self.parts.clock.told();
        for other in self.parts.store.workers(now).await?.into_iter().filter(|other| other.is_live) {
            self.parts.store.lease(self.lease_request(other.id, LeaseAct::End)).await?;
        }
        Ok(())
    }

    /// Takes back what workers hold whose lease has ended.
    pub(super) async fn sweep(&mut self) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        loop {
            let claims = self.parts.store.claims(Whose::Expired(self.parts.clock.told()), CLAIMS_MAX).await?;
            if claims.is_empty() {
                recovered.tasks.sort_unstable();
                recovered.tasks.dedup();
                return Ok(recovered);
            }
            recovered.steps += claims.len();
            recovered.tasks.extend(claims.iter().map(|(step, ..)| step.task));
            let lost = |(step, attempt, worker)| Command::Lose { step, attempt, worker, loss: Loss::WorkerDied };
            self.transact(claims.into_iter().map(lost).collect()).await?;
            self.want_claim = true;
        }
    }

    /// The heartbeat of this worker, or of one that it was before.
    pub(super) async fn beat(&mut self, of: WorkerId, leased: Leased) {
        let Some(worker) = self.worker.as_mut().filter(|worker| worker.id == of) else { return };
        if !leased.held && planted(Bug::LapseIgnored) {
            return;
        }
        if !leased.held {
            return self.lapse().await;
        }
        worker.lease.beats += 1;
        let sweeps = leased.is_oldest || worker.lease.beats.is_multiple_of(SWEEP_EVERY);
        if let Err(error) = self.audit().await {
            tracing::warn!(%error, "claims cannot be compared with what runs here; tried again at the next beat");
        }
        if sweeps {
            match self.sweep().await {
                Ok(swept) if swept.steps > 0 => {
                    mark(Mark::DeadWorkerSwept);
                    tracing::warn!(steps = swept.steps, "took back the steps of workers that are gone");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "claims of dead workers cannot be taken back; tried again later"),
            }
            if let Err(error) = self.lose_overdue(None).await {
                tracing::warn!(%error, "claims that are held for too long cannot be taken back; tried again later");
            }
        }
    }

    /// A claim whose COMMIT was never answered must not live for ever under a beating heart: claims that nothing here runs
    /// are given back, once everything has arrived that was on its way when they were first seen.
    async fn audit(&mut self) -> Result<(), StoreError> {
        let Some(me) = self.worker.as_ref().map(|worker| worker.id) else { return Ok(()) };
        let (held, are_all) = self.claims_of(me).await?;
        if are_all {
            self.give_up_lost(me, &held);
        }
        let strange = self.strange(held);
        let oldest = self.shipping.oldest();
        let Some(worker) = &mut self.worker else { return Ok(()) };
        let arrived = worker.lease.suspected_at.is_some_and(|at| oldest.is_none_or(|oldest| oldest > at));
        let known = if arrived { std::mem::take(&mut worker.lease.suspects) } else { Vec::new() };
        let (lost, suspects): (Vec<_>, Vec<_>) = strange.into_iter().partition(|claim| known.contains(claim));
        if arrived || worker.lease.suspected_at.is_none() || suspects.is_empty() {
            (worker.lease.suspects, worker.lease.suspected_at) = (suspects, Some(Instant::now()));
        }
        self.release_unknown(me, lost).await
    }

    /// Gives claims back that this worker holds and does not know of.
    pub(super) async fn release_unknown(
        &mut self,
        me: WorkerId,
        claims: Vec<(StepRef, u32)>,
    ) -> Result<(), StoreError> {
        if claims.is_empty() || planted(Bug::StrangersKept) {
            return Ok(());
        }
        mark(Mark::StrangerReleased);
        tracing::warn!(steps = claims.len(), "steps that are claimed for this worker and unknown to it are given back");
        let release = |(step, attempt)| Command::Release { step, attempt, worker: me };
        self.transact(claims.into_iter().map(release).collect()).await?;
        self.want_claim = true;
        Ok(())
    }

    /// Others took a claim for lost that is held for longer than the request of its task allows: what runs on here is given up.
    fn give_up_lost(&mut self, me: WorkerId, held: &[(StepRef, u32)]) {
        // What has ended is on its way to the store, which refuses it.
        let here = self.running.iter().filter(|(_, running)| running.worker == me && !running.has_ended);
        let here = here.map(|(&step, running)| (step, running.attempt));
        let lost: Vec<_> = here.filter(|claim| held.binary_search(claim).is_err()).collect();
        for (step, attempt) in lost {
            mark(Mark::LostAttemptGivenUp);
            tracing::warn!(task = %step.task, step = %step.number, "the claim of an attempt that runs here was lost; it is given up");
            self.give_up(step, attempt);
        }
    }

    /// Claims of this worker that nothing here runs.
    pub(super) async fn unknown_claims(&mut self, me: WorkerId) -> Result<Vec<(StepRef, u32)>, StoreError> {
        let (held, _) = self.claims_of(me).await?;
        Ok(self.strange(held))
    }

    /// The claims of this worker in the order of their steps, and whether these are all.
    async fn claims_of(&mut self, me: WorkerId) -> Result<(Vec<(StepRef, u32)>, bool), StoreError> {
        let most = self.running.len().saturating_add(2 * super::dispatch::BATCH_MAX);
        let claims = self.parts.store.claims(Whose::Worker(me), u32::try_from(most).unwrap_or(u32::MAX)).await?;
        let are_all = claims.len() < most;
        Ok((claims.into_iter().map(|(step, attempt, _)| (step, attempt)).collect(), are_all))
    }

    /// Those of the claims that nothing here runs.
    fn strange(&self, mut claims: Vec<(StepRef, u32)>) -> Vec<(StepRef, u32)> {
        claims.retain(|&(step, attempt)| !self.runs(step, attempt));
        claims
    }

    /// Others may run by now what this worker held: its attempts are dropped and their claims given back. It goes on as a
    /// new incarnation.
    async fn lapse(&mut self) {
        mark(Mark::LeaseLapsed);
        self.worker = None;
        let dropped: Vec<_> = self.running.extract_if(.., |_, running| !running.has_ended).collect();
        tracing::warn!(attempts = dropped.len(), "the lease of this worker has ended; it begins anew");
        for (step, running) in dropped {
            self.given_up.watch(running.stop());
            self.active.leave(step.task);
            self.give_back.push(Command::Release { step, attempt: running.attempt, worker: running.worker });
            if planted(Bug::ReleasedClaimKeepsSlot) {
                self.running.insert(step, running);
            }
        }
        self.lapsed = true;
        self.restore().await;
    }

    /// Claims that came for a worker that this process is no more go back; a worker whose lease has ended begins anew. What fails is
    /// tried again by the housekeeping.
    pub(super) async fn restore(&mut self) {
        if (self.lapsed || !self.give_back.is_empty())
            && let Err(error) = self.try_restore().await
        {
            mark(Mark::NewLeaseTriedAgain);
            tracing::warn!(%error, "a new lease cannot be had; tried again soon");
        }
    }

    async fn try_restore(&mut self) -> Result<(), Error> {
        let given = self.give_back.clone();
        self.transact(given).await?;
        self.give_back.clear();
        if self.lapsed && self.stopping.is_none() {
            let worker = self.enroll().await?;
            tracing::info!(worker = %worker.id, "worker started again");
            self.worker = Some(worker);
            self.refresh_queues().await;
            self.lapsed = false;
        }
        Ok(())
    }

    /// Gives the lease up, so that nobody waits for its end.
    pub(super) async fn retire(&mut self) {
        let drain = self.parts.options.drain;
        // Handlers and subscribers share it.
        let left = self.stopping.map_or(drain, |since| drain.saturating_sub(since.elapsed()));
        self.events.stop(left.max(RETIRE_TIMEOUT)).await;
        let Some(worker) = self.worker.take() else { return };
        let end = self.lease_request(worker.id, LeaseAct::End);
        let ended = tokio::time::timeout(RETIRE_TIMEOUT, self.parts.store.lease(end)).await;
        if !matches!(ended, Ok(Ok(_))) {
            tracing::warn!("the lease could not be given up; it ends by itself");
        }
    }
}
