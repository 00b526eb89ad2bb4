//! Events on their way to subscribers: stored ones, one courier a subscriber; others at once, at most once.

use std::sync::Arc;
use std::time::Duration;

use tasker_types::event::matches;
use tasker_types::{StepEvent, WorkerId};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::courier::{Courier, Looks, give};
use super::{Error, Parts};
use crate::core::ToldEvent;
use crate::event::Subscriber;
use crate::store::{Delivery, EventTask, InputRequest, Subscription};

/// Events that wait to be told; more are dropped.
const TOLD_MAX: usize = 1024;

/// Who is told of events in this process.
pub(super) struct Events {
    parts: Arc<Parts>,
    worker: watch::Sender<Option<WorkerId>>,
    stored: watch::Sender<u64>,
    couriers: JoinSet<()>,
    stopping: CancellationToken,
    listeners: broadcast::Sender<Arc<StepEvent>>,
    told: Option<mpsc::Sender<ToldEvent>>,
}

impl Events {
    pub(super) fn new(parts: Arc<Parts>, listeners: broadcast::Sender<Arc<StepEvent>>) -> Self {
        Self {
            parts,
            worker: watch::Sender::new(None),
            stored: watch::Sender::new(0),
            couriers: JoinSet::new(),
            stopping: CancellationToken::new(),
            listeners,
            told: None,
        }
    }

    /// Writes the subscribers of this program down, and starts to give them what they are due.
    pub(super) async fn start(&mut self) -> Result<(), Error> {
        let problems = self.parts.events.problems(&self.parts.state);
        if !problems.is_empty() {
            return Err(Error::BadEvents(problems.join("\n")));
        }
        if !self.couriers.is_empty() {
            return Ok(());
        }
        let mut couriers = Vec::new();
        for subscriber in self.parts.events.subscribers() {
            let subscription = Subscription {
                name: subscriber.name.clone(),
                patterns: subscriber.patterns.clone(),
                from_oldest: subscriber.from_oldest,
            };
            let id = self.parts.store.subscribe(subscription, self.parts.clock.told()).await?;
            couriers.push(Courier {
                parts: self.parts.clone(),
                subscriber: subscriber.clone(),
                id,
                worker: self.worker.subscribe(),
                stored: self.stored.subscribe(),
                stopping: self.stopping.clone(),
                held: false,
                looks: Looks::default(),
            });
        }
        // Only where all are known: who starts again after a failure starts all of them.
        for courier in couriers {
            self.couriers.spawn(courier.run());
        }
        Ok(())
    }

    /// Who this process's worker is now.
    pub(super) fn works_as(&self, worker: Option<WorkerId>) {
        if !self.couriers.is_empty() {
            self.worker.send_if_modified(|now| std::mem::replace(now, worker) != worker);
        }
    }

    /// A batch was written with so many stored events, and with these that are told at once.
    pub(super) fn written(&mut self, stored: usize, told: Vec<ToldEvent>) {
        if stored > 0 && !self.couriers.is_empty() {
            self.stored.send_modify(|count| *count += 1);
        }
        for event in told {
            if !self.is_awaited(&event) {
                continue;
            }
            let tell = self.told.get_or_insert_with(|| Teller::start(&self.parts, &self.listeners));
            if tell.try_send(event).is_err() {
                tracing::warn!("too many events are told at once: one was dropped");
            }
        }
    }

    /// Another process says that it stored events.
    pub(super) fn heard(&self) {
        self.stored.send_modify(|count| *count += 1);
    }

    fn is_awaited(&self, event: &ToldEvent) -> bool {
        self.listeners.receiver_count() > 0
            || !event.is_stored && self.parts.events.subscribers().any(|subscriber| takes(subscriber, &event.row.name))
    }

    /// Lets who is at work on an event come to its end, for so long at most.
    pub(super) async fn stop(&mut self, patience: Duration) {
        self.stopping.cancel();
        let ended = async { while self.couriers.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("subscribers are still at work on events: they are given them again");
            self.couriers.abort_all();
        }
    }
}

fn takes(subscriber: &Subscriber, name: &str) -> bool {
    subscriber.patterns.iter().any(|pattern| matches(pattern, name))
}

/// Tells of events that are not stored, or not only, one after the other.
struct Teller {
    parts: Arc<Parts>,
    listeners: broadcast::Sender<Arc<StepEvent>>,
}

impl Teller {
    fn start(parts: &Arc<Parts>, listeners: &broadcast::Sender<Arc<StepEvent>>) -> mpsc::Sender<ToldEvent> {
        let (sender, mut told) = mpsc::channel(TOLD_MAX);
        let teller = Self { parts: parts.clone(), listeners: listeners.clone() };
        tokio::spawn(async move {
            while let Some(event) = told.recv().await {
                teller.tell(event).await;
            }
        });
        sender
    }

    async fn tell(&self, told: ToldEvent) {
        let ToldEvent { row, is_stored, namespace, step } = told;
        let task = row.task;
        let request =
            InputRequest { task, context: true, results: Vec::new(), workers_from: None, checkpoint_of: None };
        let context = self.parts.store.inputs(vec![request]).await.ok().and_then(|mut inputs| inputs.pop()?.context);
        let correlation_id = context.map(|task| task.correlation_id.clone()).unwrap_or_default();
        let of = EventTask { namespace, step, correlation_id };
        let delivery = Delivery { position: 0, failures: 0, due_at: row.at, row, of };
        let event = match super::courier::event(&delivery) {
            Ok(event) => StepEvent { position: None, ..event },
            Err(error) => return tracing::error!(%error, %task, "an event cannot be told"),
        };
        if !is_stored {
            for subscriber in self.parts.events.subscribers().filter(|one| takes(one, &event.name)) {
                if let Err(error) = give(&self.parts, subscriber, event.clone()).await {
                    tracing::warn!(
                        subscriber = &*subscriber.name,
                        event = event.name,
                        error,
                        "a subscriber failed on an event"
                    );
                }
            }
        }
        // Nobody may be listening any more.
        let _ = self.listeners.send(Arc::new(event));
    }
}
