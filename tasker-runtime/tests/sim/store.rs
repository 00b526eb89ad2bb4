//! The way from one process to the store that all share: calls are late, fail, or come to nobody knows what.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tasker_runtime::core::{Batch, Claimed, Command, Dump, Outcome, Pinned, ResolvedTemplate, StepRef, SubscriberId};
use tasker_runtime::store::{
    ClaimRequest, Claims, Committed, Counts, Deliveries, DeliveryReport, DeliveryRequest, Due, EventView, FailureGroup,
    Hints, InputRequest, LeaseAct, LeaseRequest, Leased, ListedTask, Page, Queue, StepInput, Store, StoreError,
    StoredTemplate, SubscriberView, Subscription, TaskFilter, TaskView, Whose, WorkerView,
};
use tasker_types::{TaskId, TaskState, Timestamp, WorkerId};
use tokio::sync::watch;

use crate::life::Life;
use crate::sim::{Fault, Kind, Sim};

/// A result that holds this is one that no store can keep.
pub(crate) const POISON: &str = "poison";

pub(crate) struct Way {
    pub(crate) sim: Arc<Sim>,
    pub(crate) life: Arc<Life>,
    seen: AtomicI64,
}

impl Way {
    pub(crate) fn new(sim: Arc<Sim>, life: Arc<Life>) -> Self {
        Self { sim, life, seen: AtomicI64::new(0) }
    }

    /// On the way there.
    async fn there(&self, name: &str, writes: bool) -> Result<Fault, StoreError> {
        let fault = self.sim.fault(writes);
        if fault != Fault::default() {
            self.sim.say(&self.life, format_args!("{name} .. {fault:?}"));
        }
        // What is on its way to a server gets there, also when its process is gone by then.
        if self.sim.world.lease_ms.is_some() {
            self.life.moves().await;
            if fault.before_ms > 0 {
                tokio::time::sleep(Duration::from_millis(fault.before_ms)).await;
            }
        } else {
            self.pass(fault.before_ms).await;
        }
        match fault.kind {
            Kind::Failed => {
                self.sim.say(&self.life, format_args!("{name} -> fails"));
                self.pass(fault.after_ms).await;
                Err(StoreError::Unavailable("bad weather".to_owned()))
            }
            Kind::Shut => {
                self.sim.say(&self.life, format_args!("{name} -> nothing is taken"));
                self.pass(fault.after_ms).await;
                let text = "until somebody has put it right".to_owned();
                Err(if writes { StoreError::ReadOnly(text) } else { StoreError::Open(text) })
            }
            Kind::UnknownBefore => {
                self.sim.say(&self.life, format_args!("{name} -> unknown, not written"));
                self.pass(fault.after_ms).await;
                Err(StoreError::Unknown("the connection was cut".to_owned()))
            }
            _ => Ok(fault),
        }
    }

    /// On the way back.
    async fn back<T>(&self, name: &str, fault: Fault, answer: T, about: &str) -> Result<T, StoreError> {
        let unknown = fault.kind == Kind::UnknownAfter;
        let but = if unknown { ", but unknown" } else { "" };
        self.sim.say(&self.life, format_args!("{name} -> {about}{but}"));
        self.pass(fault.after_ms).await;
        if unknown { Err(StoreError::Unknown("the connection was cut".to_owned())) } else { Ok(answer) }
    }

    async fn pass(&self, ms: u64) {
        self.life.moves().await;
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            self.life.moves().await;
        }
    }

    async fn read<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError>
    where
        T: Send,
    {
        let fault = self.there(name, false).await?;
        let answer = call.await?;
        self.back(name, fault, answer, "ok").await
    }

    /// The time that decides: the database's own where there are several processes.
    fn time(&self, told: Option<Timestamp>) -> Option<Timestamp> {
        if self.sim.world.lease_ms.is_some() { Some(self.sim.clock.now()) } else { told }
    }
}

#[async_trait]
impl Store for Way {
    fn batches_at_once(&self) -> usize {
        self.sim.world.batches
    }

    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        let mut name = String::from("transact");
        for command in batch.commands.iter() {
            let _ = write!(name, " [{}]", told(command));
        }
        let fault = self.there(&name, true).await?;
        if batch.commands.iter().any(is_poison) {
            self.sim.say(&self.life, format_args!("{name} -> cannot be stored"));
            return Err(StoreError::Corrupt("it cannot be stored".to_owned()));
        }
        let commands = batch.commands.clone();
        let now = self.time(batch.now);
        let committed = self.sim.store.transact(Batch { now, ..batch }).await?;
        self.sim.applied(&self.life, now, &commands, &committed.replies).await;
        let refused = committed.replies.iter().filter_map(|reply| reply.as_ref().err());
        let mut about: String = refused.map(|refusal| format!("refused {}, ", refusal.code())).collect();
        about.push_str(&runs(&committed.claimed));
        self.back(&name, fault, committed, &about).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        let name = format!("claim {}{}", request.limit, if request.lossy { " and a lost one" } else { "" });
        let fault = self.there(&name, true).await?;
        let now = self.time(request.now);
        let claims = self.sim.store.claim(ClaimRequest { now, ..request }).await?;
        if !claims.claimed.is_empty() {
            self.sim.applied(&self.life, None, &[], &[]).await;
        }
        let about = runs(&claims.claimed);
        self.back(&name, fault, claims, &about).await
    }

    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError> {
        let fault = self.there("due", true).await?;
        let due = self.sim.store.due(self.time(now)).await?;
        if due.ready > 0 {
            self.sim.applied(&self.life, None, &[], &[]).await;
        }
        self.back("due", fault, due, &format!("{} ready", due.ready)).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        let name = format!("lease {:?} w{}", request.act, request.worker.0.as_u128() >> 80);
        let fault = self.there(&name, true).await?;
        let request = LeaseRequest { now: self.time(request.now), ..request };
        let leased = self.sim.store.lease(request.clone()).await?;
        let until = if request.act == LeaseAct::End { Duration::ZERO } else { request.lease };
        if leased.held || request.act == LeaseAct::End {
            self.sim.leased(&self.life, request.worker, until);
        }
        self.back(&name, fault, leased, if leased.held { "held" } else { "not held" }).await
    }

    async fn claims(&self, whose: Whose, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        let fault = self.there("claims", false).await?;
        let (name, whose) = match whose {
            Whose::Expired(now) => ("claims of expired", Whose::Expired(self.time(now))),
            Whose::Worker(_) => ("claims of itself", whose),
        };
        let claims = self.sim.store.claims(whose, limit).await?;
        let about = format!("{}", claims.len());
        self.back(name, fault, claims, &about).await
    }

    async fn overdue(
        &self,
        of: Option<Vec<TaskId>>,
        now: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        self.read("overdue", self.sim.store.overdue(of, self.time(now), limit)).await
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError> {
        self.read("workers", self.sim.store.workers(self.time(now))).await
    }

    async fn inputs(&self, wanted: Vec<InputRequest>) -> Result<Vec<StepInput>, StoreError> {
        self.read("inputs", self.sim.store.inputs(wanted)).await
    }

    async fn cancelling(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
        self.read("cancelling", self.sim.store.cancelling(tasks)).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.read("queues", self.sim.store.queues()).await
    }

    async fn pin(&self, template: ResolvedTemplate, now: Timestamp) -> Result<Arc<Pinned>, StoreError> {
        self.read("pin", self.sim.store.pin(template, now)).await
    }

    async fn find_template(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Arc<Pinned>>, StoreError> {
        self.read("find_template", self.sim.store.find_template(namespace, name, version)).await
    }

    async fn list_templates(&self) -> Result<Vec<StoredTemplate>, StoreError> {
        self.read("list_templates", self.sim.store.list_templates()).await
    }

    async fn with_lifecycle(&self) -> Result<Vec<Arc<Pinned>>, StoreError> {
        self.read("with_lifecycle", self.sim.store.with_lifecycle()).await
    }

    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError> {
        self.read("task_state", self.sim.store.task_state(task)).await
    }

    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError> {
        self.read("find_task", self.sim.store.find_task(task)).await
    }

    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError> {
        self.read("list_tasks", self.sim.store.list_tasks(filter, page)).await
    }

    async fn failures(&self, filter: TaskFilter, limit: u32) -> Result<Vec<FailureGroup>, StoreError> {
        self.read("failures", self.sim.store.failures(filter, limit)).await
    }

    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        self.read("tasks_by_prefix", self.sim.store.tasks_by_prefix(prefix, limit)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.read("counts", self.sim.store.counts()).await
    }

    async fn version(&self) -> Result<i64, StoreError> {
        let fault = self.there("version", false).await?;
        let version = match fault.kind {
            Kind::Stale => self.seen.load(Ordering::Relaxed),
            _ => self.sim.version(self.life.process),
        };
        self.seen.store(version, Ordering::Relaxed);
        self.pass(fault.after_ms).await;
        Ok(version)
    }

    fn hints(&self) -> Option<watch::Receiver<Hints>> {
        Some(self.sim.hints(self.life.process))
    }

    async fn settled(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError> {
        self.read("subscribe", self.sim.store.subscribe(subscription, self.time(now))).await
    }

    async fn unsubscribe(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.read("unsubscribe", self.sim.store.unsubscribe(name)).await
    }

    async fn subscribers(&self) -> Result<Vec<SubscriberView>, StoreError> {
        self.read("subscribers", self.sim.store.subscribers()).await
    }

    async fn deliveries(&self, request: DeliveryRequest) -> Result<Deliveries, StoreError> {
        let fault = self.there("deliveries", true).await?;
        let now = self.time(request.now);
        let due = self.sim.store.deliveries(DeliveryRequest { now, ..request }).await?;
        let about = format!("{} events", due.events.len());
        self.back("deliveries", fault, due, &about).await
    }

    async fn delivered(&self, subscriber: SubscriberId, report: DeliveryReport) -> Result<(), StoreError> {
        let name = format!("delivered {:?}, failed {}", report.delivered, report.failed.len());
        let fault = self.there(&name, true).await?;
        self.sim.store.delivered(subscriber, report).await?;
        self.back("delivered", fault, (), "ok").await
    }

    async fn events_of(&self, task: TaskId, after: Option<i64>, limit: u32) -> Result<Vec<EventView>, StoreError> {
        self.read("events_of", self.sim.store.events_of(task, after, limit)).await
    }

    async fn prune(&self, kept: Duration, limit: u32, now: Option<Timestamp>) -> Result<u64, StoreError> {
        self.read("prune", self.sim.store.prune(kept, limit, now)).await
    }

    async fn dump(&self, after: Option<TaskId>, limit: u32) -> Result<Dump, StoreError> {
        self.sim.store.dump(after, limit).await
    }
}

fn is_poison(command: &Command) -> bool {
    let Command::Finish(finish) = command else { return false };
    matches!(&finish.outcome, Outcome::Completed { result, .. } | Outcome::Decided { result, .. } | Outcome::Cut { result, .. } if result.contains(POISON))
}

/// A task by the number of its identity.
pub(crate) fn short(task: TaskId) -> u128 {
    task.uuid().as_u128() >> 80
}

fn told(command: &Command) -> String {
    let of = |step: &StepRef, attempt: &u32| format!("t{}/{}#{attempt}", short(step.task), step.number);
    match command {
        Command::Submit(new) => format!("submit t{} {}", short(new.id), new.input.context),
        Command::Finish(finish) => {
            let outcome = match &finish.outcome {
                Outcome::Completed { .. } => "completed",
                Outcome::Decided { .. } => "decided",
                Outcome::Cut { .. } => "cut",
                Outcome::Failed(failure) if failure.timed_out => "timed out",
                Outcome::Failed(_) => "failed",
                Outcome::Cancelled => "cancelled",
            };
            format!("{} {outcome}", of(&finish.step, &finish.attempt))
        }
        Command::Lose { step, attempt, .. } => format!("lose {}", of(step, attempt)),
        Command::Release { step, attempt, .. } => format!("release {}", of(step, attempt)),
        Command::Checkpoint(saved) => format!("{} saves {}", of(&saved.step, &saved.attempt), saved.value),
        Command::Rerun(rerun) => {
            format!("rerun t{} from {} as t{}", short(rerun.source), rerun.from, short(rerun.new.id))
        }
        Command::Act { task, act, .. } => format!("{} t{} {:?}", act.kind(), short(*task), act.step()),
    }
}

fn runs(claimed: &[Claimed]) -> String {
    let mut text = String::from("ok");
    for claim in claimed {
        let _ = write!(text, ", runs t{}/{}#{}", short(claim.task), claim.live.number, claim.live.attempt);
    }
    text
}
