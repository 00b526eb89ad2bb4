//! The contract: what the engine asks of a database.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tasker_types::{DependencyResult, StepNumber, TaskForExecution, TaskId, TaskState, Timestamp, WorkerId};

use super::{Counts, ListedTask, Page, StoreError, StoredTemplate, TaskFilter, TaskView};
use crate::core::{Batch, Claimed, Dump, Pinned, QueueId, Refusal, Reply, ResolvedTemplate, StepRef, Writes};

/// Steps that one call of [`Store::due`] makes ready at most.
pub const DUE_MAX: u32 = 1_000;

/// A database of tasks. Every method is one transaction, or one read; none of them chooses a next state.
///
/// A call that is dropped half-way either took effect as a whole or not at all.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Decides the commands of a batch on the rows as they stand and writes the outcome: all of it or nothing.
    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError>;

    /// Claims ready steps for a worker.
    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError>;

    /// Makes steps ready whose retry is due, the earliest first and at most [`DUE_MAX`] of them. Tells when the next one
    /// will be: not after `now` where more are due already.
    async fn due(&self, now: Timestamp) -> Result<Due, StoreError>;

    /// Claims that are held by any worker but this one: after `limit` come more.
    async fn strangers(&self, worker: WorkerId, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError>;

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

    /// The state of a task.
    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError>;

    /// A task with its steps.
    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError>;

    /// Tasks, newest first.
    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError>;

    /// Tasks whose UUID begins with these hexadecimal digits (hyphens left out): at most `limit`.
    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError>;

    /// How much there is.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// A number that changes whenever another process has written.
    async fn version(&self) -> Result<i64, StoreError>;

    /// Deletes tasks that ended before this moment: at most `limit`. Tells how many.
    async fn prune(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError>;

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
    /// When the first of the steps that now wait for a retry will be ready.
    pub next_retry: Option<Timestamp>,
}

impl From<Writes> for Committed {
    fn from(writes: Writes) -> Self {
        let next_retry = writes.next_retry();
        let Writes { replies, claimed, considered, finished, ready, .. } = writes;
        Self { replies, claimed, considered, finished, ready, next_retry }
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
    pub now: Timestamp,
    /// Where in the list of queues to begin, so that each comes first in turn.
    pub rotation: usize,
}

/// What a worker got.
#[derive(Debug, Default)]
pub struct Claims {
    /// The steps, in the order in which they were claimed.
    pub claimed: Vec<Claimed>,
}

/// What became ready, and when more will.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// How many steps became ready.
    pub ready: u64,
    /// When the next one will.
    pub next: Option<Timestamp>,
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
}

/// The data of one task.
#[derive(Debug, Clone)]
pub struct StepInput {
    /// The task.
    pub task: TaskId,
    /// The task as a handler sees it, where it was asked for and exists.
    pub context: Option<Arc<TaskForExecution>>,
    /// The results that were asked for and exist.
    pub results: BTreeMap<StepNumber, Arc<DependencyResult>>,
}
