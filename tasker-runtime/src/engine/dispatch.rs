//! The loop: one owner of this process's claims, of its batches, and of when to look again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tasker_types::{StepNumber, TaskForExecution, TaskId, WorkerId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::active::{Active, each_once};
use super::attempt::{Attempt, Finished, invalid, permanent};
use super::checkpoint::Checkpoints;
use super::commit::{Doubt, Held, Shipping};
use super::events::Events;
use super::hints::Heard;
use super::inputs;
use super::lease::Lease;
use super::overdue::GivenUp;
use super::prune::Pruning;
use super::publish::{Overrun, publications};
use super::schemas::Schemas;
use super::spawn::{self, Spawned};
use super::stale::Stale;
use super::stats::Counters;
use super::wait::Waiting;
use super::{Error, Parts, Recovered, WakeUp};
use crate::core::{Claimed, Command, Finish, NewTask, Outcome, Published, QueueId, Reply, StepRef, TemplateId};
use crate::handler::{AttemptScope, Claim, Progress, RustStepHandler, SaveCheckpoint, StepHandlerConfig};
use crate::mark::{Mark, mark};
use crate::store::{Leased, StepInput, StoreError};

/// The most commands of one commit.
pub(super) const BATCH_MAX: usize = 256;
/// How often the loop looks whether more has arrived before it ships a batch.
const GATHER_TURNS: usize = 16;
/// How often attempts that hold their thread beyond their time limit are looked for, and finished tasks are pruned.
pub(super) const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How long an attempt may overrun its time limit before it is taken for stuck.
pub(super) const OVERRUN: Duration = Duration::from_secs(1);
/// How often a worker looks that goes by what the others say.
pub(super) const SAFETY_LOOK: Duration = Duration::from_secs(30);

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What the loop is told.
pub(super) enum Message {
    Submit {
        new: Box<NewTask>,
        task: Arc<TaskForExecution>,
        answer: Answer<Reply>,
    },
    /// An action or a checkpoint: whoever asked waits for the answer.
    Act {
        command: Box<Command>,
        answer: Answer<Reply>,
    },
    Finished(Box<Finished>),
    /// What became of the lease of this worker.
    Beat(WorkerId, Leased),
    /// What claimed steps run with has been read.
    Loaded(Vec<Claimed>, Result<Vec<StepInput>, StoreError>),
    QueuesChanged,
    StartWorker(Answer<Recovered>),
    Worker(Answer<Option<WorkerId>>),
    Stop,
}

/// The worker of this process.
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) queues: Arc<[QueueId]>,
    pub(super) continued: u64,
    pub(super) lease: Lease,
    pub(super) rotation: usize,
}

impl Worker {
    pub(super) fn new(id: WorkerId, lease: Lease) -> Self {
        Self { id, queues: Arc::new([]), continued: 0, lease, rotation: 0 }
    }
}

/// A step that runs here, or is about to.
pub(super) struct Running {
    pub(super) attempt: u32,
    /// Who claimed it: this worker, or one that it was before.
    pub(super) worker: WorkerId,
    /// Its outcome is known and not yet recorded.
    pub(super) has_ended: bool,
    pub(super) lossy: bool,
    /// How many steps wait for it.
    pub(super) successors: usize,
    token: CancellationToken,
    /// Once it was sent to the handlers' threads.
    pub(super) spawned: Option<Spawned>,
    pub(super) overrun: Option<Overrun>,
}

impl Running {
    /// Drops the handler where it stands. Gives what ran.
    pub(super) fn stop(&self) -> Option<AbortHandle> {
        self.token.cancel();
        self.spawned.as_ref().and_then(Spawned::abort)
    }
}

pub(super) struct Dispatcher {
    pub(super) parts: Arc<Parts>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) counters: Arc<Counters>,
    schemas: Arc<Schemas>,
    pub(super) events: Events,
    pub(super) active: Active,
    pub(super) worker: Option<Worker>,
    pub(super) running: BTreeMap<StepRef, Running>,
    /// Outcomes that a failing store did not take yet.
    pub(super) held: Held,
    pub(super) shipping: Shipping,
    pub(super) doubt: Doubt,
    pub(super) next_retry: Option<Instant>,
    pub(super) want_claim: bool,
    /// The lease of the worker has ended, and it has no new one yet.
    pub(super) lapsed: bool,
    /// Claims to give back as soon as the store takes it.
    pub(super) give_back: Vec<Command>,
    pub(super) inbox: mpsc::Receiver<Message>,
    pub(super) myself: mpsc::WeakSender<Message>,
    checkpoints: Arc<dyn SaveCheckpoint>,
    handlers: HashMap<(TemplateId, StepNumber), Arc<dyn RustStepHandler>>,
    pub(super) given_up: GivenUp,
    pub(super) stopping: Option<Instant>,
    pub(super) seen_version: Option<i64>,
    pub(super) hints: Heard,
    pub(super) pruning: Pruning,
    pub(super) stale: Stale,
}

impl Dispatcher {
    pub(super) fn new(
        parts: Arc<Parts>,
        waiting: Arc<Waiting>,
        counters: Arc<Counters>,
        schemas: Arc<Schemas>,
        events: Events,
        myself: mpsc::WeakSender<Message>,
        inbox: mpsc::Receiver<Message>,
    ) -> Self {
        Self {
            parts,
            waiting,
            counters,
            schemas,
            events,
            active: Active::default(),
            worker: None,
            running: BTreeMap::new(),
            held: Held::default(),
            shipping: Shipping::default(),
            doubt: Doubt::default(),
            next_retry: None,
            want_claim: false,
            lapsed: false,
            give_back: Vec::new(),
            inbox,
            checkpoints: Arc::new(Checkpoints(myself.clone())),
            myself,
            handlers: HashMap::new(),
            given_up: GivenUp::default(),
            stopping: None,
            seen_version: None,
            hints: Heard::default(),
            pruning: Pruning::default(),
            stale: Stale::new(),
        }
    }

    /// Runs until it is stopped, or until every handle to the engine is gone.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let by_hints = self.parts.options.wake_up == WakeUp::EventDrivenOnly;
        let mut poll = tokio::time::interval(if by_hints { SAFETY_LOOK } else { self.parts.options.poll });
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let retry = self.next_retry;
            self.events.works_as(self.worker.as_ref().map(|worker| worker.id));
            tokio::select! {
                biased;
                arrival = self.shipping.arrival() => {
                    // The store goes on with what waits while the outcomes of this batch are delivered.
                    // Not while a commit is in doubt: that is settled once nothing is on its way.
                    while !self.doubt.raised
                        && batch.len() < BATCH_MAX
                        && let Ok(message) = self.inbox.try_recv()
                    {
                        batch.push(message);
                    }
                    if !self.doubt.raised {
                        self.receive(std::mem::take(&mut batch)).await;
                    }
                    let next = self.shipping.send().await;
                    self.arrived(arrival);
                    if let Some(next) = next {
                        self.arrived(next);
                    }
                }
                received = self.inbox.recv_many(&mut batch, BATCH_MAX), if self.has_room() && batch.len() < BATCH_MAX => {
                    if received == 0 {
                        break;
                    }
                    self.gather(&mut batch).await;
                }
                () = self.held.wait() => self.commit(Vec::new()),
                () = wait_for(retry), if retry.is_some() && self.claims() => self.due().await,
                () = self.hints.changed() => self.hinted().await,
                _ = poll.tick() => self.look().await,
                _ = housekeeping.tick() => self.keep_house().await,
            }
            if self.is_due(batch.len()) {
                self.receive(std::mem::take(&mut batch)).await;
            }
            while let Some(arrival) = self.shipping.send().await {
                self.arrived(arrival);
            }
            if self.doubt.raised && self.shipping.is_empty() {
                self.settle().await;
            }
            if self.want_claim && self.claims() && !self.doubt.raised && self.free() > 0 {
                self.claim().await;
            }
            if self.stopping.is_some() && self.drained().await {
                break;
            }
        }
        self.retire().await;
    }

    /// Takes what arrives in the same instant too: many attempts end together where one commit started them together.
    /// It never waits: where nothing is under way, this costs one turn of the scheduler.
    async fn gather(&mut self, batch: &mut Vec<Message>) {
        for _ in 0..GATHER_TURNS {
            if batch.len() >= BATCH_MAX {
                return;
            }
            tokio::task::yield_now().await;
            let before = batch.len();
            while batch.len() < BATCH_MAX
                && let Ok(message) = self.inbox.try_recv()
            {
                batch.push(message);
            }
            if batch.len() == before {
                return;
            }
        }
    }

    /// Whether another batch may be sent. While a commit is in doubt, one at a time: it is settled between two.
    fn has_room(&self) -> bool {
        let most = if self.doubt.raised { 1 } else { self.parts.store.batches_at_once() };
        self.shipping.count() < most
    }

    /// Whether what was gathered is to be sent: at once where nothing is on its way, and beside another batch where it is
    /// worth a commit of its own.
    fn is_due(&self, gathered: usize) -> bool {
        let enough = if self.shipping.is_empty() { 1 } else { self.parts.store.smallest_beside() };
        gathered >= enough && self.has_room()
    }

    /// Whether steps are claimed at all.
    pub(super) fn claims(&self) -> bool {
        self.worker.is_some() && self.stopping.is_none()
    }

    /// Slots that nothing runs in, and that are not promised to a batch on its way.
    pub(super) fn free(&self) -> usize {
        self.parts.options.slots.saturating_sub(self.running.len() + self.shipping.reserved)
    }

    async fn receive(&mut self, messages: Vec<Message>) {
        let mut commands = Vec::with_capacity(messages.len());
        for message in messages {
            match message {
                Message::Submit { .. } | Message::Act { .. } => commands.push(message),
                Message::Finished(finished) => {
                    self.has_ended(finished.finish.step, finished.finish.attempt);
                    commands.push(Message::Finished(finished));
                }
                Message::Beat(worker, leased) => self.beat(worker, leased).await,
                Message::Loaded(claimed, inputs) => self.loaded(claimed, inputs),
                Message::QueuesChanged => self.refresh_queues().await,
                Message::StartWorker(answer) => {
                    let started = self.start_worker().await;
                    // Who went away does not want to know.
                    let _ = answer.send(started);
                }
                Message::Worker(answer) => drop(answer.send(Ok(self.worker.as_ref().map(|worker| worker.id)))),
                Message::Stop => {
                    self.stopping.get_or_insert_with(Instant::now);
                    tracing::info!(running = self.running.len(), "stopping");
                }
            }
        }
        if !commands.is_empty() {
            self.commit(commands);
        }
    }

    pub(super) async fn refresh_queues(&mut self) {
        match self.parts.store.queues().await {
            Ok(all) => {
                if let Some(worker) = &mut self.worker {
                    let wanted = self.parts.options.namespaces.as_deref();
                    let known = all.iter().filter(|queue| {
                        self.parts.registry.is_registered(&queue.handler)
                            && wanted.is_none_or(|wanted| wanted.contains(&queue.namespace))
                    });
                    let mut queues: Vec<QueueId> = known.map(|queue| queue.id).collect();
                    queues.sort_unstable();
                    worker.queues = queues.into();
                    self.want_claim = true;
                    self.tell_queues().await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the queues cannot be read; tried again at the next look");
                self.seen_version = None;
            }
        }
    }

    async fn start_worker(&mut self) -> Result<Recovered, Error> {
        self.hints = Heard::on(&self.parts)?;
        self.events.start().await?;
        let worker = self.enroll().await?;
        let id = worker.id;
        let recovered = self.sweep().await?;
        self.worker = Some(worker);
        self.refresh_queues().await;
        self.due().await;
        self.want_claim = true;
        tracing::info!(worker = %id, recovered = recovered.steps, "worker started");
        Ok(recovered)
    }

    /// Tells the handlers of a task to stop; after the grace period they are dropped.
    pub(super) fn cancel_running(&self, task: TaskId) {
        for (_, running) in self.running.iter().filter(|(step, _)| step.task == task) {
            running.token.cancel();
        }
    }

    /// Starts claimed steps; what is not known here is read first.
    pub(super) fn begin(&mut self, claimed: Vec<Claimed>) {
        let mut unread = Vec::new();
        let mut requests = Vec::new();
        let mut attempts = Vec::with_capacity(claimed.len());
        for step in claimed {
            let at = StepRef { task: step.task, number: step.live.number };
            let (attempt, Some(worker)) = (step.live.attempt, step.live.claimed_by) else { continue };
            if self.worker.as_ref().is_none_or(|now| now.id != worker) {
                self.give_back.push(Command::Release { step: at, attempt, worker });
                continue;
            }
            let running = Running {
                attempt,
                worker,
                has_ended: false,
                lossy: step.live.losses > 0,
                successors: step.pinned.children(step.live.number).len(),
                token: CancellationToken::new(),
                spawned: None,
                overrun: None,
            };
            let missing = self.active.missing(&step);
            match self.running.insert(at, running) {
                None => self.active.enter(step.task),
                // Another process took that attempt for lost, and this one was claimed before it was heard of here.
                Some(before) => self.given_up.watch(before.stop()),
            }
            match missing {
                None => attempts.extend(self.attempt(&step)),
                Some(request) => {
                    requests.push(request);
                    unread.push(step);
                }
            }
        }
        spawn::start(&self.parts.threads.handle(), attempts, &self.myself);
        if unread.is_empty() {
            return;
        }
        let (store, myself) = (self.parts.store.clone(), self.myself.clone());
        tokio::spawn(async move {
            let inputs = store.inputs(each_once(requests)).await;
            if let Some(myself) = myself.upgrade() {
                // A loop that is gone gave its claims back.
                let _ = myself.send(Message::Loaded(unread, inputs)).await;
            }
        });
    }

    fn loaded(&mut self, claimed: Vec<Claimed>, inputs: Result<Vec<StepInput>, StoreError>) {
        match inputs {
            Ok(inputs) => {
                inputs.into_iter().for_each(|input| self.active.loaded(input));
                let mut attempts = Vec::with_capacity(claimed.len());
                for step in &claimed {
                    self.active.all_read(step);
                    attempts.extend(self.attempt(step));
                }
                spawn::start(&self.parts.threads.handle(), attempts, &self.myself);
            }
            Err(error) if !error.is_final() => {
                mark(Mark::InputReadAgain);
                tracing::warn!(%error, "what steps run with cannot be read; tried again soon");
                let myself = self.myself.clone();
                let store = self.parts.store.clone();
                let requests = each_once(claimed.iter().filter_map(|step| self.active.missing(step)));
                tokio::spawn(async move {
                    tokio::time::sleep(HOUSEKEEPING).await;
                    let inputs = store.inputs(requests).await;
                    if let Some(myself) = myself.upgrade() {
                        let _ = myself.send(Message::Loaded(claimed, inputs)).await;
                    }
                });
            }
            Err(error) => {
                for step in claimed {
                    let at = StepRef { task: step.task, number: step.live.number };
                    let reason = format!("what the step runs with cannot be read: {error}");
                    self.finish_unstarted(at, step.live.attempt, &reason, "INPUT_NOT_READABLE");
                }
            }
        }
    }

    /// The attempt that a claim is for; where it cannot begin, it has ended.
    fn attempt(&mut self, claimed: &Claimed) -> Option<(Spawned, Attempt)> {
        let at = StepRef { task: claimed.task, number: claimed.live.number };
        let attempt = claimed.live.attempt;
        let handler = match self.handler(claimed) {
            Ok(handler) => handler,
            Err(reason) => {
                self.finish_unstarted(at, attempt, &reason, "HANDLER_NOT_BUILT");
                return None;
            }
        };
        let Some((task, results)) = self.active.data(claimed.task, &claimed.pinned, claimed.live.number) else {
            self.finish_unstarted(at, attempt, "the task is not in the database", "INPUT_NOT_READABLE");
            return None;
        };
        let inputs = match inputs::of(&claimed.pinned, claimed.live.number, &task.context, &results) {
            Ok(inputs) => inputs,
            Err(reason) => {
                self.end(at, attempt, invalid(at, attempt, &reason, "INPUT_MISSING"));
                return None;
            }
        };
        let schema = match self.schemas.of_result(&claimed.pinned, claimed.live.number) {
            Ok(schema) => schema,
            Err(reason) => {
                let reason = format!("`result_schema` cannot be used: {reason}");
                self.finish_unstarted(at, attempt, &reason, "BAD_SCHEMA");
                return None;
            }
        };
        let running = self.running.get_mut(&at).filter(|running| running.attempt == attempt)?;
        let worker = running.worker;
        let step = claimed.pinned.step(claimed.live.number);
        let claim = Claim { task: claimed.task, number: claimed.live.number, attempt, worker };
        let scope = AttemptScope::new(self.parts.state.clone(), running.token.clone())
            .with_progress(Progress::new(self.checkpoints.clone(), claim));
        let data = tasker_types::TaskSequenceStep {
            workflow_step: tasker_types::WorkflowStep {
                workflow_step_uuid: claimed.task.step_uuid(claimed.live.number),
                name: claimed.pinned.name(claimed.live.number).to_string(),
                attempt,
                failures: claimed.live.failures,
                max_attempts: if step.retry.retryable { step.retry.max_attempts } else { 1 },
                inputs,
                checkpoint: self.active.take_checkpoint(at.task, at.number),
            },
            task,
            step_definition: step.definition.clone(),
            dependency_results: results,
            scope: scope.into_scope(),
        };
        let publications = publications(&step.definition, &self.parts.events);
        let overrun = Overrun::new(Instant::now() + step.timeout + OVERRUN, step.timeout, &publications);
        let run = Attempt {
            step: at,
            attempt,
            worker,
            data,
            publications,
            handler_is_over: overrun.handler_is_over(),
            reads: (step.decides() || step.makes_batches()).then(|| claimed.pinned.clone()),
            schema,
            handler,
            layers: self.parts.layers.clone(),
            token: running.token.clone(),
            timeout: step.timeout,
            grace: self.parts.options.cancel_grace,
        };
        running.overrun = Some(overrun);
        let spawned = running.spawned.insert(Spawned::default()).clone();
        Some((spawned, run))
    }

    /// The handler of a step: made once for each step of a template.
    fn handler(&mut self, claimed: &Claimed) -> Result<Arc<dyn RustStepHandler>, String> {
        let key = (claimed.pinned.id, claimed.pinned.template_step(claimed.live.number));
        if let Some(handler) = self.handlers.get(&key) {
            return Ok(handler.clone());
        }
        let step = claimed.pinned.step(claimed.live.number);
        let found = self
            .parts
            .registry
            .find(&step.handler, &step.name)
            .ok_or_else(|| format!("there is no handler `{}`", step.handler))?;
        let config = StepHandlerConfig::from(step.definition.handler.initialization.clone());
        let build = || found.build(config);
        let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(build))
            .map_err(|_| format!("`new` of handler `{}` panicked", step.handler))?;
        let handler: Arc<dyn RustStepHandler> =
            built.map_err(|error| format!("handler `{}` cannot be made: {error:#}", step.handler))?.into();
        self.handlers.insert(key, handler.clone());
        Ok(handler)
    }

    /// Fails an attempt that could not begin.
    fn finish_unstarted(&mut self, step: StepRef, attempt: u32, reason: &str, code: &str) {
        let outcome = permanent(step, attempt, reason, code);
        self.end(step, attempt, outcome);
    }

    /// Records an outcome that no handler told.
    pub(super) fn end(&mut self, step: StepRef, attempt: u32, outcome: Outcome) {
        let running = self.running.get_mut(&step).filter(|running| running.attempt == attempt);
        let Some(running) = running.filter(|running| !running.has_ended) else { return };
        running.has_ended = true;
        let finish = Finish { step, attempt, worker: running.worker, outcome, published: Published::default() };
        self.held.push(Finished { finish, value: None });
    }

    /// The outcome of this attempt is known.
    fn has_ended(&mut self, step: StepRef, attempt: u32) {
        if let Some(running) = self.running.get_mut(&step).filter(|running| running.attempt == attempt) {
            running.has_ended = true;
        }
    }

    /// Whether this attempt runs here.
    pub(super) fn runs(&self, step: StepRef, attempt: u32) -> bool {
        self.running.get(&step).is_some_and(|running| running.attempt == attempt)
    }

    /// The step no longer runs here: its slot is free.
    pub(super) fn release_slot(&mut self, step: StepRef, attempt: u32) {
        if self.running.get(&step).is_some_and(|running| running.attempt == attempt) {
            let lossy = self.running.remove(&step).is_some_and(|running| running.lossy);
            self.active.leave(step.task);
            self.want_claim |= lossy;
        }
    }
}

async fn wait_for(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
