//! Gives one subscriber its stored events: those of a task in their order, those of several tasks at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tasker_types::{StepEvent, StepEventContext, TaskId, Timestamp, WorkerId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dispatch::SAFETY_LOOK;
use super::{Parts, WakeUp};
use crate::core::{SubscriberId, again_after};
use crate::event::Subscriber;
use crate::handler::panic_text;
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};
use crate::store::{Deliveries, Delivery, DeliveryReport, DeliveryRequest, DuePlace, FailedDelivery, StoreError};

/// Tasks whose events are given at once, and events of each before what became of them is written down.
const TASKS: u32 = 32;
const EVENTS: u32 = 16;
/// How often it is looked for what other processes stored, and whether it is this one's turn.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so long no other event of a task is begun, so that what was given is written down, and other tasks have their turn.
const PORTION: Duration = Duration::from_secs(5);
/// How long a subscriber may take for an event.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest text that is kept of an error.
const ERROR_BYTES_MAX: usize = 2_000;

/// Gives one subscriber its stored events.
pub(super) struct Courier {
    pub(super) parts: Arc<Parts>,
    pub(super) subscriber: Subscriber,
    pub(super) id: SubscriberId,
    pub(super) worker: watch::Receiver<Option<WorkerId>>,
    pub(super) stored: watch::Receiver<u64>,
    pub(super) stopping: CancellationToken,
    /// Whether this process is the one that gives the subscriber its events.
    pub(super) held: bool,
    pub(super) looks: Looks,
}

/// Where the courier looks for what is due.
#[derive(Default)]
pub(super) struct Looks {
    /// How far those looks have come that go on behind one another, where there is more.
    behind: Option<DuePlace>,
    /// Whether the next look is one of them. Every other look begins with what waits longest, so that this comes however much is
    /// stored meanwhile; the ones between find tasks behind those with many events.
    goes_on: bool,
    /// When the first of the last looks was.
    last_since: Option<Timestamp>,
}

impl Looks {
    fn next(&self) -> Option<DuePlace> {
        self.behind.filter(|_| self.goes_on)
    }

    fn looked(&mut self, behind: Option<DuePlace>, more: Option<DuePlace>) {
        if behind.is_some() || self.behind.is_none() || more.is_none() {
            self.behind = more;
        }
        self.goes_on = behind.is_none();
    }
}

/// What became of the events of one task.
#[derive(Default)]
struct Given {
    delivered: Vec<i64>,
    failed: Option<(FailedDelivery, TaskId, Duration)>,
}

impl Courier {
    pub(super) async fn run(mut self) {
        loop {
            // What was stored until now is given before the end, portion by portion: who stops it bounds the time.
            let is_last = self.stopping.is_cancelled();
            self.stored.mark_unchanged();
            let wait = match self.deliver(is_last).await {
                Ok(wait) => wait.min(self.look_every()),
                Err(error) => {
                    tracing::warn!(%error, subscriber = &*self.subscriber.name, "events cannot be read; tried again soon");
                    LOOK_EVERY
                }
            };
            if is_last && !wait.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => {}
                // Where another process gives them, it was told, too.
                changed = self.stored.changed(), if self.held => if changed.is_err() { return },
                changed = self.worker.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// How often it is looked for what nobody said, and whether it is this process's turn.
    fn look_every(&self) -> Duration {
        let by_hints = self.parts.options.wake_up == WakeUp::EventDrivenOnly;
        if self.held && by_hints { SAFETY_LOOK } else { LOOK_EVERY }
    }

    /// Gives some of what is due now. Tells how long there will be nothing more, as far as is known.
    async fn deliver(&mut self, is_last: bool) -> Result<Duration, StoreError> {
        let Some(worker) = *self.worker.borrow_and_update() else {
            self.held = false;
            return Ok(LOOK_EVERY);
        };
        let asked = Instant::now();
        let now = self.parts.clock.told();
        let behind = self.looks.next();
        let request = DeliveryRequest { subscriber: self.id, worker, tasks: TASKS, events: EVENTS, behind, now };
        let Deliveries { held, now, events, more, next } = self.parts.store.deliveries(request).await?;
        self.held = held;
        self.looks.looked(behind, more);
        let until = is_last.then(|| *self.looks.last_since.get_or_insert(now));
        // What others go on to store is given by those who stay.
        let is_over = |until| events.iter().all(|event| event.row.at > until);
        if events.is_empty() || behind.is_none() && until.is_some_and(is_over) {
            return Ok(if behind.is_some() { Duration::ZERO } else { next.unwrap_or(Duration::MAX) });
        }
        if planted(Bug::DeliveredBeforeGiven) {
            let delivered = events.iter().map(|event| event.position).collect();
            self.report(DeliveryReport { delivered, ..DeliveryReport::default() }).await;
        }
        let mut report = DeliveryReport::default();
        let mut by_task: BTreeMap<TaskId, Vec<Delivery>> = BTreeMap::new();
        for event in events {
            by_task.entry(event.row.task).or_default().push(event);
        }
        let mut giving = JoinSet::new();
        let stopping = if is_last { CancellationToken::new() } else { self.stopping.clone() };
        for (task, events) in by_task {
            match events.first().filter(|first| first.due_at > now && !planted(Bug::FailedEventOvertaken)) {
                Some(first) => {
                    mark(Mark::EventBehindFailedOne);
                    report.waiting.push((task, first.due_at));
                }
                None => {
                    let (parts, subscriber, stopping) = (self.parts.clone(), self.subscriber.clone(), stopping.clone());
                    giving.spawn(async move { of_task(&parts, &subscriber, &stopping, events).await });
                }
            }
        }
        while let Some(given) = giving.join_next().await {
            // A panic of a subscriber ends only its own call.
            let Ok(Given { delivered, failed }) = given else { continue };
            report.delivered.extend(delivered);
            if let Some((failed, task, after)) = failed {
                report.waiting.push((task, now + asked.elapsed() + after));
                report.failed.push(failed);
            }
        }
        let is_written = self.report(report).await;
        // Who stops does not give again and again what cannot be written down.
        Ok(if is_written || !is_last { Duration::ZERO } else { LOOK_EVERY })
    }

    /// Writes down what became of events. What cannot be written is given again.
    async fn report(&self, report: DeliveryReport) -> bool {
        let written = self.parts.store.delivered(self.id, report).await;
        if let Err(error) = &written {
            mark(Mark::DeliveryNotRecorded);
            tracing::warn!(%error, subscriber = &*self.subscriber.name, "what a subscriber was given cannot be written down: it is given it again");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        written.is_ok()
    }
}

/// Gives the events of one task in their order, up to the first that the subscriber fails on.
async fn of_task(
    parts: &Arc<Parts>,
    subscriber: &Subscriber,
    stopping: &CancellationToken,
    events: Vec<Delivery>,
) -> Given {
    let mut given = Given::default();
    let began = Instant::now();
    for delivery in events {
        if stopping.is_cancelled() || began.elapsed() > PORTION {
            break;
        }
        let outcome = match event(&delivery) {
            Ok(event) => give(parts, subscriber, event).await,
            Err(error) => Err(error),
        };
        let Err(mut error) = outcome else {
            given.delivered.push(delivery.position);
            continue;
        };
        mark(Mark::SubscriberFailed);
        if planted(Bug::FailedEventForgotten) {
            given.delivered.push(delivery.position);
            continue;
        }
        error.truncate(error.floor_char_boundary(ERROR_BYTES_MAX));
        let failures = delivery.failures.saturating_add(1);
        tracing::warn!(
            subscriber = &*subscriber.name, event = &*delivery.row.name, task = %delivery.row.task, failures, error,
            "a subscriber failed on an event; it is given it again"
        );
        let failed = FailedDelivery { position: delivery.position, failures, error: error.replace('\0', "\u{fffd}") };
        given.failed = Some((failed, delivery.row.task, again_after(failures)));
        if !planted(Bug::FailedEventOvertaken) {
            break;
        }
    }
    given
}

/// Gives one event, on the threads of handlers: a subscriber that panics, or takes too long, has failed.
pub(super) async fn give(parts: &Arc<Parts>, subscriber: &Subscriber, event: StepEvent) -> Result<(), String> {
    let (subscriber, state) = (subscriber.clone(), parts.state.clone());
    let mut running = parts.threads.handle().spawn(async move { subscriber.give(event, state).await });
    match tokio::time::timeout(PATIENCE, &mut running).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(format!("{error:#}")),
        Ok(Err(ended)) if ended.is_panic() => Err(format!("it panicked: {}", panic_text(&*ended.into_panic()))),
        Ok(Err(_)) => Err("its thread was stopped".to_owned()),
        Err(_) => {
            running.abort();
            Err(format!("it took longer than {PATIENCE:?}"))
        }
    }
}

/// A stored event as a subscriber is given it.
pub(super) fn event(delivery: &Delivery) -> Result<StepEvent, String> {
    let Delivery { position, failures, row, of, .. } = delivery;
    let json = |text: Option<&str>| {
        let read = text.map(serde_json::from_str::<Value>).transpose();
        read.map_err(|error| format!("stored JSON cannot be read: {error}"))
    };
    let (payload, result, detail) = (json(row.says())?, json(row.result.as_deref())?, json(row.detail.as_deref())?);
    Ok(StepEvent {
        name: row.name.to_string(),
        position: Some(*position),
        attempt: row.attempt,
        delivery: failures.saturating_add(1),
        published_at: row.at,
        payload: payload.unwrap_or_default(),
        context: StepEventContext {
            task_uuid: row.task.to_string(),
            step_uuid: row.number.map(|number| row.task.step_uuid(number).to_string()).unwrap_or_default(),
            step_name: of.step.to_string(),
            namespace: of.namespace.clone(),
            correlation_id: of.correlation_id.clone(),
            result: result.map(StepEventContext::fields),
            metadata: detail.map(StepEventContext::fields),
        },
    })
}
