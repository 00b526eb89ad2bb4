//! Events between a store and those who are given them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tasker_types::{StepNumber, TaskId, Timestamp, WorkerId};

use crate::core::{EventRow, Pinned, SubscriberId};

/// A subscriber, by its name: the same in every process that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name.
    pub name: Arc<str>,
    /// Which events it takes.
    pub patterns: Vec<String>,
    /// Whether a new one is given what was stored before it came, too.
    pub from_oldest: bool,
}

/// What a worker asks for that gives a subscriber its events.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryRequest {
    /// The subscriber.
    pub subscriber: SubscriberId,
    /// The worker. One at a time gives a subscriber its events: it keeps them for as long as it has its lease.
    pub worker: WorkerId,
    /// Events of at most so many tasks.
    pub tasks: u32,
    /// Of each task, at most so many events.
    pub events: u32,
    /// Tasks are found by what is due behind this place: by what waits longest where there is none.
    pub behind: Option<DuePlace>,
    /// The time.
    pub now: Option<Timestamp>,
}

/// Where an event stands among those that a subscriber is due: they are looked through in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuePlace {
    /// From when on it is due.
    pub due_at: Timestamp,
    /// Where it stands among all stored events.
    pub position: i64,
}

/// What a subscriber is due.
#[derive(Debug, PartialEq)]
pub struct Deliveries {
    /// Whether this worker is the one that gives the subscriber its events.
    pub held: bool,
    /// When that was.
    pub now: Timestamp,
    /// In the order of their positions: of each task with one that is due, the first ones. The very first of a task may be one
    /// that is not due yet: then all of its task wait.
    pub events: Vec<Delivery>,
    /// How far what is due was looked through, where there may be more behind.
    pub more: Option<DuePlace>,
    /// How long until the next ones are due that are not now.
    pub next: Option<Duration>,
}

/// An event that a subscriber is to be given.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Where it stands among all stored events.
    pub position: i64,
    /// How often the subscriber failed on it.
    pub failures: u32,
    /// From when on it is due.
    pub due_at: Timestamp,
    /// The event.
    pub row: EventRow,
    /// What its task says of it; nothing where that is gone.
    pub of: EventTask,
}

/// What its task says of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventTask {
    /// The namespace of its template.
    pub namespace: String,
    /// The name of the step.
    pub step: Arc<str>,
    /// Ties the task to others of the same request.
    pub correlation_id: String,
}

impl DeliveryRequest {
    /// Through how much of what is due is looked at once: one task that has more does not hide those behind it for long.
    pub(super) fn window(&self) -> u32 {
        self.tasks.saturating_mul(self.events)
    }

    /// The tasks of what is due in this window, in their order, and how far they reach where there may be more.
    pub(super) fn choose(
        &self,
        window: impl ExactSizeIterator<Item = (DuePlace, TaskId)>,
    ) -> (BTreeSet<TaskId>, Option<DuePlace>) {
        let is_full = window.len() as u64 >= u64::from(self.window());
        let (mut tasks, mut last) = (BTreeSet::new(), None);
        for (place, task) in window {
            if tasks.len() as u64 >= u64::from(self.tasks) && !tasks.contains(&task) {
                return (tasks, last);
            }
            tasks.insert(task);
            last = Some(place);
        }
        (tasks, last.filter(|_| is_full))
    }
}

impl Deliveries {
    /// Nothing for this worker.
    #[must_use]
    pub const fn none(now: Timestamp) -> Self {
        Self { held: false, now, events: Vec::new(), more: None, next: None }
    }
}

impl EventTask {
    /// What a task of this template says of an event.
    pub(super) fn of(pinned: &Pinned, number: Option<StepNumber>, correlation_id: String) -> Self {
        let step = number.map(|number| pinned.name(number)).unwrap_or_default();
        Self { namespace: pinned.template.namespace.clone(), step, correlation_id }
    }
}

/// What became of events that a subscriber was given.
#[derive(Debug, Clone, Default)]
pub struct DeliveryReport {
    /// Those that it took.
    pub delivered: Vec<i64>,
    /// Those that it failed on.
    pub failed: Vec<FailedDelivery>,
    /// Tasks all of whose events wait, and until when.
    pub waiting: Vec<(TaskId, Timestamp)>,
}

/// An event that a subscriber failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDelivery {
    /// The event.
    pub position: i64,
    /// How often the subscriber has failed on it by now.
    pub failures: u32,
    /// What it said.
    pub error: String,
}

/// How a subscriber stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubscriberView {
    /// Its name.
    pub name: String,
    /// Which events it takes.
    pub patterns: Vec<String>,
    /// When it came.
    pub since: Timestamp,
    /// The worker that gives it its events, or did so last.
    pub held_by: Option<WorkerId>,
    /// Events that it was not given yet.
    pub undelivered: u64,
    /// Those of them that it failed on.
    pub failing: u64,
    /// The first of them.
    pub oldest: Option<Timestamp>,
    /// What it said last of one that it failed on.
    pub last_error: Option<String>,
}

/// An event of a task, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct EventView {
    /// Where it stands among all stored events.
    pub position: i64,
    /// The event.
    pub row: EventRow,
    /// Subscribers that were not given it yet.
    pub undelivered: Vec<String>,
}
