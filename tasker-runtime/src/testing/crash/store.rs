//! A store in memory whose process dies at one commit.

use std::fmt::Write as _;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tasker_types::{StepNumber, TaskId, TaskState, Timestamp, WorkerId};
use tokio::sync::Notify;

use super::{TestRun, When};
use crate::core::{Batch, Command, Dump, Outcome, Pinned, ResolvedTemplate, StepRef, SubscriberId};
use crate::store::{
    ClaimRequest, Claims, Committed, Counts, Deliveries, DeliveryReport, DeliveryRequest, Due, EventView, FailureGroup,
    InputRequest, LeaseRequest, Leased, ListedTask, MemoryStore, Page, Queue, StepInput, Store, StoreError,
    StoredTemplate, SubscriberView, Subscription, TaskFilter, TaskView, Whose, WorkerView,
};

/// A store in memory whose process dies at one commit: from then on no call of it comes back.
pub(super) struct Mortal {
    store: Arc<MemoryStore>,
    at: usize,
    when: When,
    /// Commits that changed something.
    commits: AtomicUsize,
    /// What the last commit was about.
    last: Mutex<Vec<Part>>,
    died: Notify,
}

/// A part of what a commit is about.
enum Part {
    Task,
    Result(StepNumber),
    Failure(StepNumber),
    Claim(StepNumber),
    Retry,
    Other,
}

impl Mortal {
    /// Dies at this commit, counted from 0.
    pub(super) fn new(at: usize, when: When) -> Self {
        let (commits, last, died) = (AtomicUsize::new(0), Mutex::default(), Notify::new());
        Self { store: Arc::default(), at, when, commits, last, died }
    }

    /// Waits for its death.
    pub(super) async fn death(&self) {
        self.died.notified().await;
    }

    /// What it left behind.
    pub(super) fn left(&self) -> Arc<MemoryStore> {
        self.store.clone()
    }

    /// What the commit was about at which it died, of the task that this run is of.
    pub(super) fn what(&self, run: &TestRun) -> String {
        let name = |number: &StepNumber| run.view().row.pinned.name(*number);
        let mut text = String::new();
        for part in self.last.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a `String` cannot fail.
            let _ = match part {
                Part::Task => write!(text, "{comma}the task"),
                Part::Result(number) => write!(text, "{comma}the result of `{}`", name(number)),
                Part::Failure(number) => write!(text, "{comma}the failure of `{}`", name(number)),
                Part::Claim(number) => write!(text, "{comma}the claim of `{}`", name(number)),
                Part::Retry => write!(text, "{comma}a retry that was due"),
                Part::Other => write!(text, "{comma}an action"),
            };
        }
        text
    }

    /// Makes a call that writes, and dies with it if it is time; a call that changes nothing is no commit.
    async fn write<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
        about: impl FnOnce(&T) -> Vec<Part> + Send,
    ) -> Result<T, StoreError> {
        let commits = self.commits.load(Ordering::SeqCst);
        if commits > self.at {
            return pending().await;
        }
        // The calls of a store in memory do not wait for anything: nothing else happens in between.
        let earlier = (commits == self.at && self.when == When::Before).then(|| self.store.copy());
        let answer = call.await?;
        let parts = about(&answer);
        if parts.is_empty() {
            return Ok(answer);
        }
        self.commits.store(commits + 1, Ordering::SeqCst);
        if commits < self.at {
            return Ok(answer);
        }
        if let Some(earlier) = earlier {
            self.store.go_back_to(earlier);
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = parts;
        self.died.notify_one();
        pending().await
    }
}

fn part_of(command: &Command) -> Part {
    match command {
        Command::Submit(_) => Part::Task,
        Command::Finish(finish)
            if matches!(finish.outcome, Outcome::Completed { .. } | Outcome::Decided { .. } | Outcome::Cut { .. }) =>
        {
            Part::Result(finish.step.number)
        }
        Command::Finish(finish) => Part::Failure(finish.step.number),
        _ => Part::Other,
    }
}

#[async_trait]
impl Store for Mortal {
    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        let commands = batch.commands.clone();
        self.write(self.store.transact(batch), |committed| {
            let taken = commands.iter().zip(&committed.replies).filter(|(_, reply)| reply.is_ok());
            taken.map(|(command, _)| part_of(command)).collect()
        })
        .await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        let about = |claims: &Claims| claims.claimed.iter().map(|step| Part::Claim(step.live.number)).collect();
        self.write(self.store.claim(request), about).await
    }

    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError> {
        let about = |due: &Due| if due.ready > 0 { vec![Part::Retry] } else { Vec::new() };
        self.write(self.store.due(now), about).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        self.store.lease(request).await
    }

    async fn claims(&self, whose: Whose, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        self.store.claims(whose, limit).await
    }

    async fn overdue(
        &self,
        of: Option<Vec<TaskId>>,
        now: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        self.store.overdue(of, now, limit).await
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError> {
        self.store.workers(now).await
    }

    async fn inputs(&self, wanted: Vec<InputRequest>) -> Result<Vec<StepInput>, StoreError> {
        self.store.inputs(wanted).await
    }

    async fn cancelling(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
        self.store.cancelling(tasks).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.store.queues().await
    }

    async fn pin(&self, template: ResolvedTemplate, now: Timestamp) -> Result<Arc<Pinned>, StoreError> {
        self.store.pin(template, now).await
    }

    async fn find_template(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Arc<Pinned>>, StoreError> {
        self.store.find_template(namespace, name, version).await
    }

    async fn list_templates(&self) -> Result<Vec<StoredTemplate>, StoreError> {
        self.store.list_templates().await
    }

    async fn with_lifecycle(&self) -> Result<Vec<Arc<Pinned>>, StoreError> {
        self.store.with_lifecycle().await
    }

    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError> {
        self.store.task_state(task).await
    }

    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError> {
        self.store.find_task(task).await
    }

    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError> {
        self.store.list_tasks(filter, page).await
    }

    async fn failures(&self, filter: TaskFilter, limit: u32) -> Result<Vec<FailureGroup>, StoreError> {
        self.store.failures(filter, limit).await
    }

    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        self.store.tasks_by_prefix(prefix, limit).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.store.counts().await
    }

    async fn settled(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn version(&self) -> Result<i64, StoreError> {
        self.store.version().await
    }

    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError> {
        self.store.subscribe(subscription, now).await
    }

    async fn unsubscribe(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.store.unsubscribe(name).await
    }

    async fn subscribers(&self) -> Result<Vec<SubscriberView>, StoreError> {
        self.store.subscribers().await
    }

    async fn deliveries(&self, request: DeliveryRequest) -> Result<Deliveries, StoreError> {
        self.store.deliveries(request).await
    }

    async fn delivered(&self, subscriber: SubscriberId, report: DeliveryReport) -> Result<(), StoreError> {
        self.store.delivered(subscriber, report).await
    }

    async fn events_of(&self, task: TaskId, after: Option<i64>, limit: u32) -> Result<Vec<EventView>, StoreError> {
        self.store.events_of(task, after, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.store.prune(ended_before, limit).await
    }

    async fn dump(&self, after: Option<TaskId>, limit: u32) -> Result<Dump, StoreError> {
        self.store.dump(after, limit).await
    }
}
