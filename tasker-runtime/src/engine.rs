//! The engine: takes commands, commits them in batches, and tells who waits.
//!
//! One loop owns what this process knows of its claims. While one commit is in flight, what arrives meanwhile forms
//! the next batch, so a batch grows with the load and an idle engine adds no delay.

mod act;
mod active;
mod attempt;
mod bulk;
mod checkpoint;
mod claim;
mod clock;
mod commit;
mod courier;
mod derived;
mod dispatch;
mod error;
mod events;
mod heartbeat;
mod hints;
mod house;
mod identity;
mod ids;
mod inputs;
mod lease;
mod limits;
mod look;
mod overdue;
mod prune;
mod publish;
mod rerun;
mod resolve;
mod runtime;
mod schemas;
mod spawn;
mod stale;
mod stats;
mod submit;
mod wait;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tasker_types::{StepEvent, TaskId, TaskRequest, TaskState, Template, WorkerId};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use self::bulk::{Acted, Bulk};
pub use self::clock::Clock;
use self::dispatch::{Dispatcher, Message};
pub use self::error::Error;
use self::events::Events;
pub use self::ids::Ids;
#[cfg(all(feature = "cli", feature = "sqlite"))]
pub(crate) use self::resolve::{SaidBy, honoured};
pub use self::runtime::HandlerThreads;
#[cfg(all(feature = "cli", feature = "sqlite"))]
pub(crate) use self::schemas::Schema;
use self::schemas::Schemas;
use self::stats::Counters;
pub use self::stats::Stats;
use self::wait::Waiting;
use crate::core::Pinned;
use crate::event::EventRegistry;
use crate::handler::{AppState, Layer, RustStepHandlerRegistry};
use crate::store::Store;

/// Messages that may wait for the loop; who sends more waits for a place.
const QUEUE_LENGTH: usize = 4096;
/// Events that are kept for who listens and is slow.
const EVENTS_KEPT: usize = 1024;

/// What an engine is made of.
#[derive(Clone)]
pub struct Parts {
    /// Where tasks live.
    pub store: Arc<dyn Store>,
    /// The handlers of this binary.
    pub registry: Arc<RustStepHandlerRegistry>,
    /// What the application shares with its handlers.
    pub state: Arc<AppState>,
    /// What is put around every attempt, the first outermost.
    pub layers: Arc<[Arc<dyn Layer>]>,
    /// Who is given events, and who makes what they say.
    pub events: Arc<EventRegistry>,
    /// What time it is.
    pub clock: Clock,
    /// Where new identities come from.
    pub ids: Ids,
    /// Where handlers run.
    pub threads: HandlerThreads,
    /// What can be set.
    pub options: Options,
}

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Steps that run at once in this process.
    pub slots: usize,
    /// Of which namespaces steps are claimed; of all where this is `None`. Their handlers are needed, too.
    pub namespaces: Option<Vec<String>>,
    /// How long a handler may go on after its task was cancelled.
    pub cancel_grace: Duration,
    /// How long a stopping worker waits for its handlers.
    pub drain: Duration,
    /// The longest time between two looks for what other processes wrote.
    pub poll: Duration,
    /// How it finds out what other processes wrote.
    pub wake_up: WakeUp,
    /// How long finished tasks are kept; for ever where this is `None`.
    pub retention: Option<Duration>,
    /// How long a worker's lease lasts when it is not renewed. `None` where no other process can run a worker on the
    /// database: then whoever starts ends the leases of all others.
    pub lease: Option<Duration>,
    /// The name of the worker, for people.
    pub label: String,
}

/// How a worker finds out what other processes wrote. What its own process does, it is told at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WakeUp {
    /// By what the others say, and by looking now and then: nothing is late, whatever is lost.
    #[default]
    Hybrid,
    /// By what the others say; a look every half a minute finds what was lost. The least load on an idle database.
    EventDrivenOnly,
    /// By looking alone.
    PollingOnly,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slots: 256,
            namespaces: None,
            cancel_grace: Duration::from_secs(5),
            drain: Duration::from_secs(25),
            poll: Duration::from_millis(100),
            wake_up: WakeUp::default(),
            retention: Some(Duration::from_secs(30 * 24 * 3600)),
            lease: None,
            label: String::new(),
        }
    }
}

/// A handle to the engine of this process. Clones lead to the same engine.
#[derive(Clone)]
pub struct Engine {
    parts: Arc<Parts>,
    messages: mpsc::Sender<Message>,
    waiting: Arc<Waiting>,
    counters: Arc<Counters>,
    templates: Arc<Mutex<BTreeMap<TemplateKey, Arc<Pinned>>>>,
    schemas: Arc<Schemas>,
    stopped: watch::Receiver<bool>,
    events: broadcast::Sender<Arc<StepEvent>>,
}

type TemplateKey = (String, String, String);

/// What a starting worker found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Tasks whose steps had been running when their worker died.
    pub tasks: Vec<TaskId>,
    /// The steps.
    pub steps: usize,
}

/// A request that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The task that it means.
    pub task: TaskId,
    /// The state that the task has.
    pub state: TaskState,
    /// Whether the request made it. An earlier one of the same identity did otherwise.
    pub is_new: bool,
}

impl Engine {
    /// Starts the engine's loop on the current runtime. It runs no steps until [`start_worker`](Self::start_worker).
    ///
    /// # Panics
    /// There is no current Tokio runtime.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let (messages, inbox) = mpsc::channel(QUEUE_LENGTH);
        let (stopping, stopped) = watch::channel(false);
        let (parts, waiting, counters) = (Arc::new(parts), Arc::new(Waiting::default()), Arc::new(Counters::default()));
        let schemas = Arc::new(Schemas::default());
        let events = broadcast::Sender::new(EVENTS_KEPT);
        let dispatcher = Dispatcher::new(
            parts.clone(),
            waiting.clone(),
            counters.clone(),
            schemas.clone(),
            Events::new(parts.clone(), events.clone()),
            messages.downgrade(),
            inbox,
        );
        tokio::spawn(async move {
            dispatcher.run().await;
            // Nobody is left to be told where this fails.
            let _ = stopping.send(true);
        });
        Self { parts, messages, waiting, counters, templates: Arc::default(), schemas, stopped, events }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    /// The handlers of this binary.
    #[must_use]
    pub fn registry(&self) -> &RustStepHandlerRegistry {
        &self.parts.registry
    }

    /// What the engine was started with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.parts.options
    }

    /// What the engine has done since it started.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// What time it is.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// Stores a template; new tasks of its name and version start on it.
    ///
    /// # Errors
    /// A step's handler is not in this binary, a schema is none, or the store fails.
    pub async fn add_template(&self, template: Template) -> Result<Arc<Pinned>, Error> {
        schemas::check(&template)?;
        resolve::check_publishers(&self.parts.events, &template)?;
        let resolved = resolve::resolve(&self.parts.registry, template)?;
        let pinned = self.parts.store.pin(resolved, self.parts.clock.now()).await?;
        self.forget_templates();
        self.send(Message::QueuesChanged).await?;
        Ok(pinned)
    }

    fn forget_templates(&self) {
        self.templates.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Accepts a task: when this returns, it survives a crash.
    ///
    /// # Errors
    /// There is no such template, the context does not fit, the same request made a task before and wants a conflict, or
    /// the store fails; nothing was stored.
    pub async fn submit(&self, request: TaskRequest) -> Result<TaskId, Error> {
        Ok(self.accept(request).await?.task)
    }

    /// Accepts a task as [`submit`](Self::submit) does, and tells whether it is a new one.
    ///
    /// # Errors
    /// As for [`submit`](Self::submit).
    pub async fn accept(&self, request: TaskRequest) -> Result<Accepted, Error> {
        let (command, task) = self.plan(request).await?;
        let id = command.id;
        let reply = self.ask(|answer| Message::Submit { new: Box::new(command), task, answer }).await?;
        Ok(Accepted { task: reply.task, state: reply.state, is_new: reply.task == id })
    }

    /// Accepts a task and waits until it is over.
    ///
    /// # Errors
    /// As for [`submit`](Self::submit) and [`wait`](Self::wait).
    pub async fn run(&self, request: TaskRequest) -> Result<(TaskId, TaskState), Error> {
        let (command, task) = self.plan(request).await?;
        let id = command.id;
        // Registered first: the task may be over before anyone could ask.
        let told = self.waiting.register(id);
        let reply = self.ask(|answer| Message::Submit { new: Box::new(command), task, answer }).await?;
        if reply.task != id {
            return Ok((reply.task, self.wait(reply.task).await?));
        }
        Ok((id, wait::wait_for(self, id, told).await?))
    }

    /// Starts the worker: takes back what a dead worker held, and runs steps from then on.
    ///
    /// # Errors
    /// The store fails.
    pub async fn start_worker(&self) -> Result<Recovered, Error> {
        self.ask(Message::StartWorker).await
    }

    /// Waits until a task is over.
    ///
    /// # Errors
    /// There is no such task, or the store fails.
    pub async fn wait(&self, task: TaskId) -> Result<TaskState, Error> {
        wait::wait(self, task).await
    }

    /// The tasks that end in this process from now on. Who is slow misses some, and is told how many.
    #[must_use]
    pub fn ends(&self) -> broadcast::Receiver<(TaskId, TaskState)> {
        self.waiting.listen()
    }

    /// The events that are published in this process from now on with the delivery mode `fast` or `broadcast`. Who is slow misses
    /// some, and is told how many.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<StepEvent>> {
        self.events.subscribe()
    }

    /// The worker's identity, once it has started.
    ///
    /// # Errors
    /// The engine was stopped.
    pub async fn worker(&self) -> Result<Option<WorkerId>, Error> {
        self.ask(Message::Worker).await
    }

    /// Stops claiming, waits for the handlers that run, at most for `drain`, gives the rest back, and ends the loop.
    pub async fn stop(&self) {
        let mut stopped = self.stopped.clone();
        // A loop that is gone already was stopped by another handle.
        let _ = self.messages.send(Message::Stop).await;
        let _ = stopped.wait_for(|stopped| *stopped).await;
        self.parts.threads.shut_down();
    }

    async fn send(&self, message: Message) -> Result<(), Error> {
        self.messages.send(message).await.map_err(|_| Error::Stopped)
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Message) -> Result<T, Error> {
        let (answer, told) = oneshot::channel();
        self.send(message(answer)).await?;
        told.await.map_err(|_| Error::Stopped)?
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.parts.options).finish_non_exhaustive()
    }
}
