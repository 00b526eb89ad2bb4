//! The contract: what the engine asks of a database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tasker_types::{DependencyResult, StepNumber, TaskForExecution, TaskId, TaskState, Timestamp, WorkerId};
use tokio::sync::watch;

use super::{Counts, FailureGroup, ListedTask, Page, StoreError, StoredTemplate, TaskFilter, TaskView};
use super::{Deliveries, DeliveryReport, DeliveryRequest, EventView, SubscriberView, Subscription};
use crate::core::{
    Batch, Claimed, Dump, Pinned, QueueId, Refusal, Reply, ResolvedTemplate, StepRef, SubscriberId, ToldEvent, Writes,
};

/// How hard a commit is pressed to the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is on disk when it is acknowledged: it survives power loss. On a server, as that is set.
    #[default]
    Full,
    /// Commits survive a crash of the process; the last ones may not survive power loss.
    Relaxed,
}

/// Steps that one call of [`Store::due`] makes ready at most.
pub const DUE_MAX: u32 = 1_000;

/// What stands in the text of every template that limits how long its tasks may take.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) const LIFECYCLE: &str = "\"lifecycle\"";

/// A database of tasks. Every method is one transaction, or one read; none of them chooses a next state.
///
/// Where a call takes the time, `None` is the database's own: between machines no other clock decides. Stores without a
/// clock refuse it.
///
/// A call that is dropped half-way either took effect as a whole or not at all.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Decides the commands of a batch on the rows as they stand and writes the outcome: all of it or nothing.
    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError>;

    /// How many batches it takes at once. More than one where it writes those that wait in one transaction, or where it has
    /// several connections to write on.
    fn batches_at_once(&self) -> usize {
        1
    }

    /// The fewest commands that are worth a batch of their own while another one is on its way; fewer wait for more.
    fn smallest_beside(&self) -> usize {
        1
    }

    /// Claims ready steps for a worker.
    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError>;

    /// Makes steps ready whose retry is due, the earliest first and at most [`DUE_MAX`] of them. Tells when the next one
    /// will be: at once where more are due already.
    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError>;

    /// Begins, renews or ends a worker's lease: its right to claim steps, and to keep what it has claimed.
    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError>;

    /// Claims that are held, in the order of their steps: after `limit` come more.
    async fn claims(&self, whose: Whose, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError>;

    /// Claims that are held for longer than the request of their task allows, of these tasks or of all, in the order of their
    /// steps: after `limit` come more. Where no request says so, it costs next to nothing.
    async fn overdue(
        &self,
        of: Option<Vec<TaskId>>,
        now: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError>;

    /// The workers, in the order in which they started: those with a lease and, for a day, those whose lease has ended.
    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError>;

    /// What claimed steps are to be run with: one answer for each task that was asked for, in the order of their ids.
    async fn inputs(&self, wanted: Vec<InputRequest>) -> Result<Vec<StepInput>, StoreError>;

    /// Which of these tasks are being cancelled.
    async fn cancelling(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError>;

    /// All queues: which handlers the steps of stored templates need.
    async fn queues(&self) -> Result<Vec<Queue>, StoreError>;

    /// Stores a template by its content, and gives it with its numbers. New tasks of its version take it from now on,
    /// even where the content is an older one.
    async fn pin(&self, template: ResolvedTemplate, now: Timestamp) -> Result<Arc<Pinned>, StoreError>;

    /// The newest template of this name; the newest version where none is named.
    async fn find_template(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Arc<Pinned>>, StoreError>;

    /// All templates, by namespace, name and version.
    async fn list_templates(&self) -> Result<Vec<StoredTemplate>, StoreError>;

    /// Every stored template that limits how long its tasks may take, in the order in which they were stored.
    async fn with_lifecycle(&self) -> Result<Vec<Arc<Pinned>>, StoreError>;

    /// The state of a task.
    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError>;

    /// A task with its steps.
    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError>;

    /// Tasks, newest first.
    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError>;

    /// The failed steps of the newest [`FAILED_TASKS_MAX`](super::FAILED_TASKS_MAX) failed tasks by template, step and kind of
    /// error: at most `limit` groups, those with the newest task first. The states of the filter are not looked at.
    async fn failures(&self, filter: TaskFilter, limit: u32) -> Result<Vec<FailureGroup>, StoreError>;

    /// Tasks whose UUID begins with these hexadecimal digits (hyphens left out): at most `limit`.
    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError>;

    /// How much there is.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// A number that changes whenever another process has written. Where [`tells_what_waits`](Self::tells_what_waits) says so,
    /// it changes for as long as steps are ready or retries are due, too.
    async fn version(&self) -> Result<i64, StoreError>;

    /// Whether [`version`](Self::version) is all that an idle worker needs to look at.
    fn tells_what_waits(&self) -> bool {
        false
    }

    /// Grows whenever another process says that there is something to look at; `None` where none can say so. Hints may be lost, and
    /// may be wrong: who polls misses nothing.
    fn hints(&self) -> Option<watch::Receiver<Hints>> {
        None
    }

    /// Writes a subscriber down, and gives its number. What is stored from then on and is among its events is due to it.
    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError>;

    /// Forgets a subscriber, with everything that is due to it. Tells how many events that were; nothing where there is no such
    /// subscriber.
    async fn unsubscribe(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// All subscribers, by name.
    async fn subscribers(&self) -> Result<Vec<SubscriberView>, StoreError>;

    /// What a subscriber is due, where this worker is the one that gives it its events.
    async fn deliveries(&self, request: DeliveryRequest) -> Result<Deliveries, StoreError>;

    /// Takes down what became of events that a subscriber was given.
    async fn delivered(&self, subscriber: SubscriberId, report: DeliveryReport) -> Result<(), StoreError>;

    /// The stored events of a task in their order: at most `limit` of those behind this position.
    async fn events_of(&self, task: TaskId, after: Option<i64>, limit: u32) -> Result<Vec<EventView>, StoreError>;

    /// Deletes tasks that ended longer ago than they are kept: at most `limit`. Tells how many. A task stays while a subscriber
    /// was not given one of its events.
    async fn prune(&self, kept: Duration, limit: u32, now: Option<Timestamp>) -> Result<u64, StoreError>;

    /// Waits until every call that was made before is done or will never be, also those whose callers went away.
    async fn settled(&self) -> Result<(), StoreError>;

    /// All rows of the tasks after `after` in the order of their ids: at most `limit` tasks.
    async fn dump(&self, after: Option<TaskId>, limit: u32) -> Result<Dump, StoreError>;
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Committed {
    /// One answer a command, in their order.
    pub replies: Vec<Result<Reply, Refusal>>,
    /// Successors that this worker now runs.
    pub claimed: Vec<Claimed>,
    /// How many successors were considered for a free slot: to be added to [`Capacity::continued`](crate::core::Capacity).
    pub considered: u64,
    /// Tasks that ended, each once.
    pub finished: Vec<Reply>,
    /// Steps that became ready and were not claimed.
    pub ready: usize,
    /// How long until the first of the steps that now wait for a retry will be ready.
    pub next_retry: Option<Duration>,
    /// How many events were stored.
    pub events: usize,
    /// Events that are told at once.
    pub told: Vec<ToldEvent>,
    /// It shared the transaction of the batch before it.
    pub joined: bool,
}

impl Committed {
    /// What is told of a batch that was written at this moment.
    #[must_use]
    pub fn of(writes: Writes, now: Timestamp) -> Self {
        let next_retry = writes.next_retry().map(|at| at.since(now));
        let Writes { replies, claimed, considered, finished, ready, events, told, .. } = writes;
        let events = events.len();
        Self { replies, claimed, considered, finished, ready, next_retry, events, told, joined: false }
    }
}

/// What a claim filters by: the steps of a namespace that need one handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The database's number.
    pub id: QueueId,
    /// The namespace.
    pub namespace: String,
    /// The registered name of the handler.
    pub handler: String,
}

/// What a worker can take on.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The worker.
    pub worker: WorkerId,
    /// The queues whose handlers it has; sorted.
    pub queues: Arc<[QueueId]>,
    /// At most this many steps that were never lost.
    pub limit: u32,
    /// Whether a step with losses may be claimed too: one at a time.
    pub lossy: bool,
    /// The time.
    pub now: Option<Timestamp>,
    /// Where in the list of queues to begin, so that each comes first in turn.
    pub rotation: usize,
}

/// What a worker got.
#[derive(Debug, Default)]
pub struct Claims {
    /// The steps, in the order in which they were claimed.
    pub claimed: Vec<Claimed>,
    /// Whether ready steps were passed over because others were just about to change them.
    pub passed_over: bool,
}

/// What became ready, and when more will.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// How many steps became ready.
    pub ready: u64,
    /// How long until the next one will.
    pub next: Option<Duration>,
}

/// A worker's lease.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// The worker: one start of a process.
    pub worker: WorkerId,
    /// What becomes of its lease.
    pub act: LeaseAct,
    /// Who that is, for people.
    pub label: Arc<str>,
    /// The queues whose handlers it has.
    pub queues: Arc<[QueueId]>,
    /// How long it lasts from now on.
    pub lease: Duration,
    /// The time.
    pub now: Option<Timestamp>,
}

/// What becomes of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAct {
    /// It begins. Where this worker had one before, it is renewed.
    Begin,
    /// It goes on, unless it has ended: then it never comes back.
    Renew,
    /// It ends now.
    End,
}

/// How a worker stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leased {
    /// Whether it has a lease.
    pub held: bool,
    /// Whether it has, and no worker that started before it does: of all who could sweep, it is the one who does.
    pub is_oldest: bool,
}

/// Whose claims are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of this worker.
    Worker(WorkerId),
    /// Those of workers without a lease at this time.
    Expired(Option<Timestamp>),
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// One start of a process.
    pub id: WorkerId,
    /// Who that is, for people.
    pub label: String,
    /// The queues whose handlers it has.
    pub queues: Vec<QueueId>,
    /// When its lease began.
    pub started_at: Timestamp,
    /// When it was renewed last.
    pub renewed_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it has not ended yet.
    pub is_live: bool,
}

/// How long a worker is remembered whose lease has ended.
pub(super) const WORKERS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The caller's time, for a store without a clock of its own.
pub(super) fn told(now: Option<Timestamp>) -> Result<Timestamp, StoreError> {
    now.ok_or_else(|| StoreError::Corrupt("this store has no clock of its own: a call carries its time".into()))
}

/// What other processes have said so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// How often they said that steps are ready.
    pub ready: u64,
    /// How often they said that events were stored.
    pub events: u64,
    /// How often they said that something else has changed: a task is being cancelled, a template was stored.
    pub other: u64,
}

/// Which data a claimed step is run with.
#[derive(Debug, Clone)]
pub struct InputRequest {
    /// The task.
    pub task: TaskId,
    /// Whether the task itself is wanted.
    pub context: bool,
    /// Steps whose results are wanted.
    pub results: Vec<StepNumber>,
    /// Where workers of batches come before the step: the first number that one can have. All their results are wanted.
    pub workers_from: Option<StepNumber>,
    /// The step whose checkpoint is wanted, where one may have been saved.
    pub checkpoint_of: Option<StepNumber>,
}

impl InputRequest {
    /// The request, where it asks for something.
    pub(crate) fn unless_empty(self) -> Option<Self> {
        let Self { context, results, workers_from, checkpoint_of, .. } = &self;
        let asks = *context || !results.is_empty() || workers_from.is_some() || checkpoint_of.is_some();
        asks.then_some(self)
    }
}

/// The data of one task.
#[derive(Debug, Clone)]
pub struct StepInput {
    /// The task.
    pub task: TaskId,
    /// The task as a handler sees it, where it was asked for and exists.
    pub context: Option<Arc<TaskForExecution>>,
    /// Of the steps that were asked for, those that are over for good, with their results: `None` where one was skipped.
    pub results: BTreeMap<StepNumber, Option<Arc<DependencyResult>>>,
    /// Of the steps that were asked for, those that have saved one, with their last checkpoints.
    pub checkpoints: BTreeMap<StepNumber, Arc<Value>>,
}

impl StepInput {
    /// Nothing yet.
    pub(super) fn of(task: TaskId) -> Self {
        Self { task, context: None, results: BTreeMap::new(), checkpoints: BTreeMap::new() }
    }
}
