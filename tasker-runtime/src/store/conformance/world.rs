//! A store with a clock beside it: after each call all rows are read back and held against what must be true of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp, WorkerId};

use super::sample;
use crate::core::{
    Batch, Capacity, Claimed, Command, Dump, LiveStep, Pinned, QueueId, Refusal, Reply, ResolvedTemplate, ResultRow,
    StepRef, TaskRow, check,
};
use crate::store::{ClaimRequest, Committed, Due, LeaseAct, Store};

/// A store that is watched.
#[derive(Debug)]
pub struct World<'s, S: ?Sized> {
    /// The store.
    pub store: &'s S,
    /// The time; it moves only when a test moves it.
    pub now: Timestamp,
    /// All rows after the last call.
    pub rows: Dump,
    /// The queues of the templates that were pinned.
    pub queues: Arc<[QueueId]>,
    templates: Vec<Arc<Pinned>>,
    /// Workers whose lease was begun here.
    enrolled: BTreeSet<WorkerId>,
    /// Every attempt that was ever handed out: none may be handed out again.
    handed_out: BTreeSet<(StepRef, u32)>,
}

impl<'s, S: Store + ?Sized> World<'s, S> {
    /// An empty store at the beginning of the test's time.
    pub fn new(store: &'s S) -> Self {
        Self {
            store,
            now: sample::at(0),
            rows: Dump::default(),
            queues: Arc::default(),
            templates: Vec::new(),
            enrolled: BTreeSet::new(),
            handed_out: BTreeSet::new(),
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    /// Stores a template; from now on claims reach its queues.
    pub async fn pin(&mut self, template: ResolvedTemplate) -> Arc<Pinned> {
        let pinned = self.store.pin(template, self.now).await.expect("it is stored");
        self.templates.push(pinned.clone());
        self.queues = sample::queues(&self.templates);
        pinned
    }

    /// Stores a template and submits the task of this number on it.
    pub async fn start(&mut self, number: u32, template: ResolvedTemplate) -> TaskId {
        let pinned = self.pin(template).await;
        self.one(sample::submit(sample::task(number), &pinned)).await.expect("it is accepted");
        sample::task(number)
    }

    /// Has one command decided.
    pub async fn one(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.transact(vec![command]).await.replies.remove(0)
    }

    /// Has commands decided in one batch, by a process without a worker.
    pub async fn transact(&mut self, commands: Vec<Command>) -> Committed {
        self.batch(commands, None).await
    }

    /// Has commands decided in one batch, by a worker with so many free slots.
    pub async fn transact_with(&mut self, worker: WorkerId, free: usize, commands: Vec<Command>) -> Committed {
        let capacity = Capacity { worker, free, queues: self.queues.clone(), continued: 0 };
        self.batch(commands, Some(capacity)).await
    }

    /// Has a batch decided.
    pub async fn batch(&mut self, commands: Vec<Command>, capacity: Option<Capacity>) -> Committed {
        // A step can go one step of its table for each command, and one more by a continuation.
        let hops = commands.len() + usize::from(capacity.is_some());
        if let Some(capacity) = &capacity {
            self.enroll(capacity.worker).await;
        }
        let batch = Batch { commands: commands.into(), capacity, now: Some(self.now) };
        let committed = self.store.transact(batch).await.expect("the batch is written");
        self.hand_out(&committed.claimed);
        self.look(hops).await;
        for reply in &committed.finished {
            assert_eq!(
                self.task_state(reply.task),
                reply.state,
                "what is told of {} is not what is stored",
                reply.task
            );
        }
        committed
    }

    /// What a worker claims when it looks into every queue.
    pub async fn claim(&mut self, worker: WorkerId, limit: u32) -> Vec<Claimed> {
        self.claim_as(ClaimRequest { limit, ..self.request(worker) }).await
    }

    /// What a worker asks that has a hundred free slots and runs no step with losses.
    pub fn request(&self, worker: WorkerId) -> ClaimRequest {
        ClaimRequest { worker, queues: self.queues.clone(), limit: 100, lossy: true, now: Some(self.now), rotation: 0 }
    }

    /// Gives a worker a lease for as long as any test lasts.
    pub async fn enroll(&mut self, worker: WorkerId) {
        if self.enrolled.insert(worker) {
            let request = sample::lease(worker, LeaseAct::Begin, self.now);
            assert!(self.store.lease(request).await.expect("it is begun").held);
        }
    }

    /// What a worker gets for this request.
    pub async fn claim_as(&mut self, request: ClaimRequest) -> Vec<Claimed> {
        self.enroll(request.worker).await;
        let claimed = self.store.claim(request).await.expect("a claim").claimed;
        self.hand_out(&claimed);
        self.look(1).await;
        claimed
    }

    /// The one step that a worker claims.
    pub async fn claim_one(&mut self, worker: WorkerId) -> Claimed {
        let mut claimed = self.claim(worker, 100).await;
        assert_eq!(claimed.len(), 1, "one step is ready: {claimed:?}");
        claimed.remove(0)
    }

    /// Makes steps ready whose retry is due.
    pub async fn due(&mut self) -> Due {
        let due = self.store.due(Some(self.now)).await.expect("it can be looked up");
        self.look(1).await;
        due
    }

    fn hand_out(&mut self, claimed: &[Claimed]) {
        for claim in claimed {
            let step = StepRef { task: claim.task, number: claim.live.number };
            assert!(self.handed_out.insert((step, claim.live.attempt)), "an attempt is handed out again: {claim:?}");
            assert_eq!(claim.live.state, StepState::Running);
            assert_eq!(claim.live.claimed_at, Some(self.now));
        }
    }

    /// Reads all rows; whatever changed since the last look went by the tables of states.
    pub async fn look(&mut self, hops: usize) {
        let rows = self.store.dump(None, u32::MAX).await.expect("all rows");
        assert_eq!(check(&rows), [], "after a call at {}: {rows:#?}", self.now);
        assert_legal(&self.rows, &rows, hops);
        self.rows = rows;
    }

    /// The task's row.
    pub fn task(&self, task: TaskId) -> &TaskRow {
        self.rows.tasks.iter().find(|row| row.id == task).expect("the task")
    }

    /// The task's state.
    pub fn task_state(&self, task: TaskId) -> TaskState {
        self.task(task).state
    }

    /// The step's live row.
    pub fn live(&self, task: TaskId, number: u32) -> Option<&LiveStep> {
        self.rows.live.iter().find(|row| row.task == task && row.number == StepNumber(number))
    }

    /// The step's result.
    pub fn result(&self, task: TaskId, number: u32) -> Option<&ResultRow> {
        self.rows.results.iter().find(|row| row.task == task && row.number == StepNumber(number))
    }

    /// The states of all steps of a task, by the places where they stand.
    pub fn states(&self, task: TaskId) -> Vec<StepState> {
        let numbers = self.task(task).pinned.numbers();
        numbers.map(|number| state_of(&self.rows, StepRef { task, number })).collect()
    }
}

fn state_of(rows: &Dump, step: StepRef) -> StepState {
    let over = rows.results.iter().find(|row| row.task == step.task && row.number == step.number);
    let live = rows.live.iter().find(|row| row.task == step.task && row.number == step.number);
    over.map(|row| row.outcome).or(live.map(|row| row.state)).unwrap_or(StepState::Pending)
}

fn attempt_of(rows: &Dump, step: StepRef) -> u32 {
    let over = rows.results.iter().find(|row| row.task == step.task && row.number == step.number);
    let live = rows.live.iter().find(|row| row.task == step.task && row.number == step.number);
    over.map(|row| row.attempt).or(live.map(|row| row.attempt)).unwrap_or(0)
}

/// Every state that is new could follow the one before it in at most so many steps of its table; no attempt became
/// smaller, and no row of the history changed.
///
/// # Panics
/// One could not.
pub fn assert_legal(before: &Dump, after: &Dump, hops: usize) {
    for old in &before.tasks {
        let Some(task) = after.tasks.iter().find(|row| row.id == old.id) else { continue };
        assert!(
            reaches(TaskState::ALL, TaskState::may_become, old.state, task.state, hops),
            "a task that is {} became {}",
            old.state,
            task.state
        );
        for number in task.pinned.numbers() {
            let step = StepRef { task: task.id, number };
            let (from, to) = (state_of(before, step), state_of(after, step));
            assert!(
                reaches(StepState::ALL, StepState::may_become, from, to, hops),
                "step {number} that was {from} became {to}"
            );
            let (last, attempt) = (attempt_of(before, step), attempt_of(after, step));
            assert!(attempt >= last, "step {number} was at attempt {last} and is at {attempt}");
        }
        for row in before.attempts.iter().filter(|row| row.task == task.id) {
            let mut reopened = row.clone();
            reopened.reopen();
            let stays = after.attempts.contains(row) || after.attempts.contains(&reopened);
            assert!(stays, "an attempt is not there any more: {row:?}");
        }
    }
}

fn reaches<T: Copy + PartialEq>(all: &[T], may_become: fn(T, T) -> bool, from: T, to: T, hops: usize) -> bool {
    from == to
        || (hops > 0
            && all.iter().any(|&next| may_become(from, next) && reaches(all, may_become, next, to, (hops - 1).min(3))))
}
