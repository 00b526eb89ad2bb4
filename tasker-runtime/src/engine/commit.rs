//! Group commit: one transaction for what has come together, and what happens when it is refused.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tasker_types::{DependencyResult, TaskForExecution, TaskId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Error;
use super::attempt::{Finished, unstorable};
use super::dispatch::{BATCH_MAX, Dispatcher, Message};
use crate::core::{Act, Batch, Capacity, Command, Finish, Outcome, Published, Refusal, Reply};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};
use crate::store::{Committed, StoreError};

/// The first and the longest delay before outcomes are offered again to a store that failed.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Outcomes that the store has not taken yet. They are offered again until it does.
#[derive(Debug)]
pub(super) struct Held {
    finished: Vec<Finished>,
    again_at: Option<Instant>,
    delay: Duration,
    /// How many are offered at once: fewer after each failure, as a store may need too long for many.
    most: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self { finished: Vec::new(), again_at: None, delay: Duration::ZERO, most: BATCH_MAX }
    }
}

impl Held {
    pub(super) fn push(&mut self, finished: Finished) {
        self.finished.push(finished);
        self.again_at.get_or_insert_with(Instant::now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.finished.is_empty()
    }

    /// Waits until they are to be offered again; for ever where there are none.
    pub(super) async fn wait(&self) {
        match self.again_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Those whose time has come.
    fn take(&mut self) -> Vec<Finished> {
        if self.again_at.is_some_and(|at| at > Instant::now()) {
            return Vec::new();
        }
        let left = self.finished.split_off(self.finished.len().min(self.most));
        self.again_at = (!left.is_empty()).then(Instant::now);
        std::mem::replace(&mut self.finished, left)
    }

    /// The store takes what it is given.
    fn went_well(&mut self) {
        self.delay = Duration::ZERO;
        self.most = (self.most * 2).min(BATCH_MAX);
    }

    fn put_back(&mut self, finished: Vec<Finished>) {
        if finished.is_empty() {
            return;
        }
        self.delay = (self.delay * 2).clamp(RETRY_FIRST, RETRY_MAX);
        self.most = (finished.len() / 2).max(1);
        self.again_at = Some(Instant::now() + self.delay);
        self.finished.extend(finished);
    }
}

/// A command on its way, with what is told when it is through.
struct Entry {
    command: Command,
    source: Source,
}

enum Source {
    Caller(oneshot::Sender<Result<Reply, Error>>),
    /// Its command is sent again, for an earlier commit of it was of unknown outcome.
    Doubter(oneshot::Sender<Result<Reply, Error>>),
    Submitter(oneshot::Sender<Result<Reply, Error>>, Arc<TaskForExecution>),
    Attempt(Option<Arc<DependencyResult>>),
}

impl Entry {
    fn of_attempt(finished: Finished) -> Self {
        Self { command: Command::Finish(finished.finish), source: Source::Attempt(finished.value) }
    }
}

/// What a commit of unknown outcome leaves open. It is settled by reading, before the next batch is sent.
#[derive(Default)]
pub(super) struct Doubt {
    /// Set by a transaction that may have been written: steps may be claimed for this worker that it does not know.
    pub(super) raised: bool,
    submits: Vec<(TaskId, oneshot::Sender<Result<Reply, Error>>)>,
    /// Taken at most once, by their ids: these may be sent again.
    actions: Vec<Entry>,
}

/// A batch on its way to the store.
struct Shipment {
    commands: Arc<[Command]>,
    sources: Vec<Source>,
    /// Free slots that were promised to it, beside those that it frees itself.
    reserved: usize,
}

/// A batch that came back from the store.
pub(super) struct Arrival(Shipment, Result<Committed, StoreError>);

/// Batches on their way: while one is written, the next is gathered.
#[derive(Default)]
pub(super) struct Shipping {
    on_their_way: Vec<(Instant, OnItsWay)>,
    /// When the one was sent that has come back and is not delivered yet.
    undelivered: Option<Instant>,
    pub(super) reserved: usize,
}

/// Polled by the loop itself: a task of its own would cost two more wake-ups of threads a commit. The store does not
/// depend on being polled once it has the batch.
type OnItsWay = Pin<Box<dyn Future<Output = Arrival> + Send>>;

impl Shipping {
    pub(super) fn count(&self) -> usize {
        self.on_their_way.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// When the oldest was sent of which it is not known here what it claimed.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.on_their_way.iter().map(|(sent, _)| *sent).chain(self.undelivered).min()
    }

    /// Waits for the next batch that arrives; for ever where none is on its way.
    pub(super) async fn arrival(&mut self) -> Arrival {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// Hands what was just sent to the store, which then works on it whatever is waited for next. Gives what arrived.
    pub(super) async fn send(&mut self) -> Option<Arrival> {
        std::future::poll_fn(|context| {
            Poll::Ready(match self.poll(context) {
                Poll::Ready(arrival) => Some(arrival),
                Poll::Pending => None,
            })
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Arrival> {
        for at in 0..self.on_their_way.len() {
            if let Some((_, shipment)) = self.on_their_way.get_mut(at)
                && let Poll::Ready(arrival) = shipment.as_mut().poll(context)
            {
                let (sent, _) = self.on_their_way.remove(at);
                self.undelivered.get_or_insert(sent);
                return Poll::Ready(arrival);
            }
        }
        Poll::Pending
    }
}

impl Dispatcher {
    /// Sends these messages, and what was held back, on their way to the store.
    pub(super) fn commit(&mut self, messages: Vec<Message>) {
        let held = self.held.take();
        let mut entries = Vec::with_capacity(held.len() + messages.len());
        entries.extend(held.into_iter().map(Entry::of_attempt));
        for message in messages {
            match message {
                Message::Submit { new, task, answer } => {
                    entries.push(Entry { command: Command::Submit(*new), source: Source::Submitter(answer, task) });
                }
                Message::Act { command, answer } => {
                    entries.push(Entry { command: *command, source: Source::Caller(answer) });
                }
                Message::Finished(finished) => entries.push(Entry::of_attempt(*finished)),
                _ => {}
            }
        }
        self.ship(entries);
    }

    fn ship(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let (commands, sources): (Vec<Command>, Vec<Source>) =
            entries.into_iter().map(|entry| (entry.command, entry.source)).unzip();
        // The step of an outcome that is offered again may run here once more by now: its slot is not free.
        let frees = |command: &&Command| matches!(command, Command::Finish(of) if self.runs(of.step, of.attempt));
        let ends = commands.iter().filter(frees).count();
        let starts: usize = commands.iter().map(|command| self.starts(command)).sum();
        // While others wait to be claimed, free slots are left to them.
        let reserved = if self.want_claim { 0 } else { self.free().min(starts.saturating_sub(ends)) };
        let capacity = self.worker.as_ref().filter(|_| self.claims()).map(|worker| Capacity {
            worker: worker.id,
            free: reserved + ends,
            queues: worker.queues.clone(),
            continued: worker.continued,
        });
        self.shipping.reserved += reserved;
        let shipment = Shipment { commands: commands.into(), sources, reserved };
        let batch = Batch { commands: shipment.commands.clone(), capacity, now: self.parts.clock.told() };
        let store = self.parts.store.clone();
        let sent = async move { Arrival(shipment, store.transact(batch).await) };
        self.shipping.on_their_way.push((Instant::now(), Box::pin(sent)));
    }

    /// As many steps as the command may make ready.
    fn starts(&self, command: &Command) -> usize {
        match command {
            Command::Submit(new) => new.pinned.graph().roots().len(),
            Command::Finish(Finish { outcome: Outcome::Cut { workers, .. }, .. }) => {
                workers.map_or(1, |workers| workers.count as usize)
            }
            Command::Finish(finish) => self.running.get(&finish.step).map_or(1, |running| running.successors),
            _ => 0,
        }
    }

    /// One culprit must not fail its neighbours: a batch that is refused for good is halved down to it.
    pub(super) fn arrived(&mut self, Arrival(shipment, outcome): Arrival) {
        self.shipping.reserved -= shipment.reserved;
        self.shipping.undelivered = None;
        match outcome {
            Ok(committed) => {
                self.held.went_well();
                self.counters.batch(shipment.commands.len(), &committed);
                self.deliver(shipment, committed);
            }
            // Where it is not known whether the batch was written, outcomes are offered again: what was recorded is then
            // refused as stale, by its fence. The rest is settled by reading.
            Err(error) if !(error.is_final() || shut(&error) && planted(Bug::ShutTakenForRefusal)) => {
                self.postpone(shipment, &error);
            }
            Err(error) => {
                let commands = shipment.commands.iter().cloned();
                let mut entries: Vec<Entry> =
                    commands.zip(shipment.sources).map(|(command, source)| Entry { command, source }).collect();
                if entries.len() > 1 {
                    mark(Mark::BatchHalved);
                    tracing::warn!(%error, commands = entries.len(), "a batch was refused and is split");
                    let second = entries.split_off(entries.len() / 2);
                    self.ship(entries);
                    self.ship(second);
                } else if let Some(entry) = entries.pop() {
                    self.reject(entry, error);
                }
            }
        }
    }

    /// Commands without an owner here: losses and releases.
    pub(super) async fn transact(&mut self, commands: Vec<Command>) -> Result<(), StoreError> {
        for chunk in commands.chunks(BATCH_MAX) {
            let batch = Batch { commands: chunk.into(), capacity: None, now: self.parts.clock.told() };
            let committed = self.parts.store.transact(batch).await?;
            self.events.written(committed.events, committed.told);
            for ended in committed.finished {
                self.waiting.tell(ended.task, ended.state);
            }
        }
        Ok(())
    }

    fn deliver(&mut self, shipment: Shipment, committed: Committed) {
        // New tasks and results are known before the slots of what ended are released: their successors need them.
        let mut ended = Vec::with_capacity(shipment.commands.len());
        let continued: BTreeSet<TaskId> = committed.claimed.iter().map(|claimed| claimed.task).collect();
        for ((command, source), reply) in shipment.commands.iter().zip(shipment.sources).zip(committed.replies) {
            match (source, command) {
                (Source::Attempt(value), Command::Finish(finish)) => {
                    self.note_outcome(finish, value, &reply);
                    if reply.is_ok() || !planted(Bug::RefusedOutcomeKeepsSlot) {
                        ended.push((finish.step, finish.attempt));
                    }
                }
                (Source::Submitter(answer, task), Command::Submit(new)) => {
                    if reply.is_ok() && continued.contains(&new.id) {
                        self.active.submitted(new.id, task);
                    }
                    // Who went away does not want to know.
                    let _ = answer.send(reply.map_err(Error::from));
                }
                (Source::Caller(answer) | Source::Doubter(answer), command) => {
                    let done = matches!(reply, Ok(_) | Err(Refusal::Repeated(_)));
                    if matches!(command, Command::Act { act: Act::Cancel, .. }) && done {
                        self.cancel_running(command.task());
                    }
                    let _ = answer.send(reply.map_err(Error::from));
                }
                _ => {}
            }
        }
        self.events.written(committed.events, committed.told);
        if let Some(worker) = &mut self.worker {
            worker.continued = worker.continued.wrapping_add(committed.considered);
        }
        self.begin(committed.claimed);
        for (step, attempt) in ended {
            self.release_slot(step, attempt);
        }
        for reply in committed.finished {
            self.waiting.tell(reply.task, reply.state);
        }
        self.want_claim |= committed.ready > 0;
        let next_retry = committed.next_retry.map(|left| Instant::now() + left);
        self.next_retry = [self.next_retry, next_retry].into_iter().flatten().min();
    }

    fn note_outcome(&mut self, finish: &Finish, value: Option<Arc<DependencyResult>>, reply: &Result<Reply, Refusal>) {
        match reply {
            Ok(_) => {
                if let Some(value) = value {
                    self.active.completed(finish.step.task, finish.step.number, value);
                }
            }
            Err(refusal) => {
                mark(Mark::StaleRefused);
                tracing::warn!(%refusal, "a late outcome was dropped");
            }
        }
    }

    /// The store is away: who waits is told so, what ran is kept.
    fn postpone(&mut self, shipment: Shipment, error: &StoreError) {
        let unknown = matches!(error, StoreError::Unknown(_)) && !planted(Bug::UnknownTakenForFailed);
        self.doubt.raised |= unknown;
        let mut kept = Vec::new();
        for (command, source) in shipment.commands.iter().zip(shipment.sources) {
            match (source, command) {
                (source @ Source::Submitter(..), command) if unknown && planted(Bug::UnknownSentBlindly) => {
                    self.doubt.actions.push(Entry { command: command.clone(), source });
                }
                (Source::Submitter(answer, _), Command::Submit(new)) if unknown => {
                    self.doubt.submits.push((new.id, answer));
                }
                (Source::Caller(answer), command) if unknown => {
                    self.doubt.actions.push(Entry { command: command.clone(), source: Source::Doubter(answer) });
                }
                // That this one failed does not tell whether the first was written.
                (source @ Source::Doubter(_), command) => {
                    self.doubt.raised = true;
                    self.doubt.actions.push(Entry { command: command.clone(), source });
                }
                (Source::Attempt(value), Command::Finish(finish)) => {
                    kept.push(Finished { finish: finish.clone(), value });
                }
                (Source::Caller(answer) | Source::Submitter(answer, _), _) => {
                    drop(answer.send(Err(error.clone().into())));
                }
                _ => {}
            }
        }
        if !kept.is_empty() {
            mark(Mark::OutcomeHeld);
            tracing::warn!(%error, outcomes = kept.len(), "outcomes could not be recorded; they are kept and tried again");
        }
        if !planted(Bug::HeldOutcomeForgotten) {
            self.held.put_back(kept);
        }
    }

    /// Settles what a commit of unknown outcome left open, by what stands in the database.
    pub(super) async fn settle(&mut self) {
        match self.try_settle().await {
            Ok(()) => {
                self.doubt.raised = false;
                // The answer that was lost may have told when the next retry is due.
                self.due().await;
                let actions = std::mem::take(&mut self.doubt.actions);
                if !actions.is_empty() {
                    mark(Mark::UnknownActionSentAgain);
                }
                self.ship(actions);
            }
            Err(error) => tracing::warn!(%error, "the outcome of a commit is not known yet; it is looked for again"),
        }
    }

    async fn try_settle(&mut self) -> Result<(), StoreError> {
        while let Some((task, answer)) = self.doubt.submits.pop() {
            let told = match self.parts.store.task_state(task).await {
                Ok(Some(state)) => {
                    mark(Mark::UnknownWritten);
                    Ok(Reply { task, state })
                }
                Ok(None) => {
                    mark(Mark::UnknownNotWritten);
                    Err(StoreError::Unavailable("the commit failed; nothing was stored".into()).into())
                }
                Err(error) => {
                    self.doubt.submits.push((task, answer));
                    return Err(error);
                }
            };
            // Who went away does not want to know.
            let _ = answer.send(told);
        }
        let Some(me) = self.worker.as_ref().map(|worker| worker.id) else { return Ok(()) };
        let strange = self.unknown_claims(me).await?;
        self.release_unknown(me, strange).await
    }

    /// The one command that the store will never take.
    fn reject(&mut self, entry: Entry, error: StoreError) {
        match (entry.source, entry.command) {
            (Source::Caller(answer) | Source::Doubter(answer) | Source::Submitter(answer, _), _) => {
                drop(answer.send(Err(error.into())));
            }
            (Source::Attempt(_), Command::Finish(finish)) => {
                mark(Mark::OutcomeReplaced);
                let again = matches!(finish.outcome, Outcome::Failed(_));
                tracing::error!(%error, task = %finish.step.task, step = %finish.step.number, "an outcome cannot be stored");
                let outcome =
                    unstorable(finish.step, finish.attempt, &format!("the outcome could not be stored: {error}"));
                let finish = Finish { outcome, published: Published::default(), ..finish };
                let finished = Finished { finish, value: None };
                if again {
                    // Even that was refused: offered again later, with a growing delay.
                    self.held.put_back(vec![finished]);
                } else {
                    self.held.push(finished);
                }
            }
            _ => {}
        }
    }
}

/// The database is there, and takes nothing.
fn shut(error: &StoreError) -> bool {
    matches!(error, StoreError::ReadOnly(_) | StoreError::Open(_))
}
