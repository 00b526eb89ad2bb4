//! A store around another one: what stands between an engine and its database in tests. Each call that is not taken
//! otherwise goes through as it is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tasker_types::{TaskId, TaskState, Timestamp, WorkerId};

use super::{
    ClaimRequest, Claims, Committed, Counts, Deliveries, DeliveryReport, DeliveryRequest, Due, EventView, FailureGroup,
    InputRequest, LeaseRequest, Leased, ListedTask, MemoryStore, Page, Queue, StepInput, Store, StoreError,
    StoredTemplate, SubscriberView, Subscription, TaskFilter, TaskView, Whose, WorkerView,
};
use crate::core::{Batch, Dump, Pinned, ResolvedTemplate, StepRef, SubscriberId};

/// A store in memory of which some calls are taken otherwise.
#[async_trait]
pub trait Around: Send + Sync + 'static {
    /// The store itself.
    fn store(&self) -> &MemoryStore;

    /// Takes a batch.
    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        self.store().transact(batch).await
    }

    /// Takes a claim.
    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        self.store().claim(request).await
    }

    /// Takes a look at what is due.
    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError> {
        self.store().due(now).await
    }

    /// Reads the queues.
    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.store().queues().await
    }

    /// Deletes what ended long ago.
    async fn prune(&self, kept: Duration, limit: u32, now: Option<Timestamp>) -> Result<u64, StoreError> {
        self.store().prune(kept, limit, now).await
    }

    /// Takes a subscription.
    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError> {
        self.store().subscribe(subscription, now).await
    }
}

#[async_trait]
impl<A: Around> Store for A {
    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        Around::transact(self, batch).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        Around::claim(self, request).await
    }

    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError> {
        Around::due(self, now).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        self.store().lease(request).await
    }

    async fn claims(&self, whose: Whose, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        self.store().claims(whose, limit).await
    }

    async fn overdue(
        &self,
        of: Option<Vec<TaskId>>,
        now: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        self.store().overdue(of, now, limit).await
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError> {
        self.store().workers(now).await
    }

    async fn inputs(&self, wanted: Vec<InputRequest>) -> Result<Vec<StepInput>, StoreError> {
        self.store().inputs(wanted).await
    }

    async fn cancelling(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
        self.store().cancelling(tasks).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        Around::queues(self).await
    }

    async fn pin(&self, template: ResolvedTemplate, now: Timestamp) -> Result<Arc<Pinned>, StoreError> {
        self.store().pin(template, now).await
    }

    async fn find_template(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Arc<Pinned>>, StoreError> {
        self.store().find_template(namespace, name, version).await
    }

    async fn list_templates(&self) -> Result<Vec<StoredTemplate>, StoreError> {
        self.store().list_templates().await
    }

    async fn with_lifecycle(&self) -> Result<Vec<Arc<Pinned>>, StoreError> {
        self.store().with_lifecycle().await
    }

    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError> {
        self.store().task_state(task).await
    }

    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError> {
        self.store().find_task(task).await
    }

    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError> {
        self.store().list_tasks(filter, page).await
    }

    async fn failures(&self, filter: TaskFilter, limit: u32) -> Result<Vec<FailureGroup>, StoreError> {
        self.store().failures(filter, limit).await
    }

    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        self.store().tasks_by_prefix(prefix, limit).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.store().counts().await
    }

    async fn version(&self) -> Result<i64, StoreError> {
        self.store().version().await
    }

    async fn settled(&self) -> Result<(), StoreError> {
        self.store().settled().await
    }

    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError> {
        Around::subscribe(self, subscription, now).await
    }

    async fn unsubscribe(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.store().unsubscribe(name).await
    }

    async fn subscribers(&self) -> Result<Vec<SubscriberView>, StoreError> {
        self.store().subscribers().await
    }

    async fn deliveries(&self, request: DeliveryRequest) -> Result<Deliveries, StoreError> {
        self.store().deliveries(request).await
    }

    async fn delivered(&self, subscriber: SubscriberId, report: DeliveryReport) -> Result<(), StoreError> {
        self.store().delivered(subscriber, report).await
    }

    async fn events_of(&self, task: TaskId, after: Option<i64>, limit: u32) -> Result<Vec<EventView>, StoreError> {
        self.store().events_of(task, after, limit).await
    }

    async fn prune(&self, kept: Duration, limit: u32, now: Option<Timestamp>) -> Result<u64, StoreError> {
        Around::prune(self, kept, limit, now).await
    }

    async fn dump(&self, after: Option<TaskId>, limit: u32) -> Result<Dump, StoreError> {
        self.store().dump(after, limit).await
    }
}
