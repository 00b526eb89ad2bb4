//! Which events the changes of a command publish, and to whom the stored ones are due.

use std::sync::Arc;
use std::time::Duration;

use tasker_types::event::matches;
use tasker_types::{
    DeliveryMode, EventCondition, EventSpec, LifecycleKind, StepNumber, StepState, TaskId, TaskState, Timestamp,
};

use super::row::{AttemptOutcome, AttemptRow, Cause, ResultRow};
use super::{Change, Command, Pinned, Snapshot};
use crate::plant::{Bug, planted};

/// The first and the longest delay before an event is offered again to a subscriber that failed.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(300);

/// An event. Stored ones of a task have positions in the order in which they were published.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// The task.
    pub task: TaskId,
    /// The step, where it is of one.
    pub number: Option<StepNumber>,
    /// The attempt; 0 where it is of the task, or of a step that no attempt ended.
    pub attempt: u32,
    /// Its name.
    pub name: Arc<str>,
    /// What its publisher made, as JSON.
    pub payload: Option<Arc<str>>,
    /// The step's result, as JSON.
    pub result: Option<Arc<str>>,
    /// The rest, as the JSON of a [`Detail`](super::Detail).
    pub detail: Option<Arc<str>>,
    /// When.
    pub at: Timestamp,
}

impl EventRow {
    /// What it says, as JSON: what the publisher made, else the result, else the error.
    pub(crate) fn says(&self) -> Option<&str> {
        [&self.payload, &self.result, &self.detail].into_iter().flatten().next().map(|text| &**text)
    }
}

/// An event that is told at once in this process.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldEvent {
    /// The event.
    pub row: EventRow,
    /// Whether it is stored, too.
    pub is_stored: bool,
    /// The namespace of its task's template.
    pub namespace: String,
    /// The name of its step.
    pub step: Arc<str>,
}

/// What the publishers of a step made, by the places of its events in the template. An event without a publisher is not
/// among them.
#[derive(Debug, Clone, Default)]
pub struct Published(Option<Arc<[(usize, Made)]>>);

/// What a publisher made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// This payload, as JSON.
    Payload(Arc<str>),
    /// Nothing: the event is not published.
    Nothing,
    /// It failed: the event goes out without a payload of its own.
    Failed,
}

impl Published {
    /// What publishers made; nothing where there are none.
    #[must_use]
    pub fn of(made: Vec<(usize, Made)>) -> Self {
        Self((!made.is_empty()).then(|| made.into()))
    }

    pub(crate) fn at(&self, place: usize) -> Option<&Made> {
        self.0.as_ref()?.iter().find_map(|(at, made)| (*at == place).then_some(made))
    }
}

/// The database's number of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub i64);

/// Which of these events are due to which of these subscribers: places of events, in their order, each with the subscriber.
///
/// Whoever writes the events reads the subscribers in the same transaction.
pub fn recipients<'e>(
    events: &'e [EventRow],
    subscribers: &'e [(SubscriberId, Vec<String>)],
) -> impl Iterator<Item = (usize, SubscriberId)> + 'e {
    events.iter().enumerate().flat_map(move |(place, event)| {
        let takes = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &event.name));
        subscribers.iter().filter(move |(_, patterns)| takes(patterns)).map(move |&(id, _)| (place, id))
    })
}

/// How long after its failure an event is offered again.
#[must_use]
pub fn again_after(failures: u32) -> Duration {
    AGAIN_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(AGAIN_MAX)
}

/// The ends of attempts that an event can be published at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    FailedForGood,
    FailedForNow,
}

impl End {
    pub(super) fn of_result(row: &ResultRow) -> Option<Self> {
        match (row.outcome, row.cause) {
            (StepState::Completed, _) => Some(Self::Completed),
            (StepState::Failed, _) | (StepState::Skipped, Cause::Skippable) => Some(Self::FailedForGood),
            _ => None,
        }
    }

    pub(super) fn of_attempt(row: &AttemptRow) -> Option<Self> {
        matches!(row.outcome, AttemptOutcome::Failed | AttemptOutcome::TimedOut).then_some(Self::FailedForNow)
    }

    pub(super) fn meets(self, condition: EventCondition) -> bool {
        match condition {
            EventCondition::Success => self == Self::Completed,
            EventCondition::Failure => self != Self::Completed,
            EventCondition::RetryableFailure => self == Self::FailedForNow,
            EventCondition::PermanentFailure => self == Self::FailedForGood,
            EventCondition::Always => true,
        }
    }
}

/// What these changes publish, each with how it is delivered.
pub(super) fn published(
    snapshot: &Snapshot,
    command: &Command,
    changes: &[Change],
    now: Timestamp,
) -> Vec<(DeliveryMode, EventRow)> {
    let Some(task) = snapshot.task(command.task()) else { return Vec::new() };
    let nothing_made = Published::default();
    let mut publishing = Publishing {
        snapshot,
        pinned: &task.pinned,
        made: if let Command::Finish(finish) = command { &finish.published } else { &nothing_made },
        row: EventRow {
            task: task.id,
            number: None,
            attempt: 0,
            name: "".into(),
            payload: None,
            result: None,
            detail: None,
            at: now,
        },
        events: Vec::new(),
    };
    for change in changes {
        match change {
            Change::Result(row) => publishing.result(row),
            Change::Attempt(row) => publishing.attempt(row),
            Change::TaskState { state, .. } => publishing.task_state(*state),
            _ => {}
        }
    }
    publishing.events
}

/// The detail with a word that the publisher failed.
fn publisher_failed(detail: Option<&str>) -> Option<Arc<str>> {
    let mut fields: serde_json::Map<_, _> = detail.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    fields.insert("publisher_failed".to_owned(), true.into());
    Some(serde_json::Value::Object(fields).to_string().into())
}

struct Publishing<'s> {
    snapshot: &'s Snapshot,
    pinned: &'s Pinned,
    made: &'s Published,
    /// What all events of the command share.
    row: EventRow,
    events: Vec<(DeliveryMode, EventRow)>,
}

impl Publishing<'_> {
    fn result(&mut self, row: &ResultRow) {
        let of = EventRow {
            number: Some(row.number),
            attempt: row.attempt,
            result: row.result.clone(),
            detail: row.detail.clone(),
            ..self.row.clone()
        };
        if let Some(end) = End::of_result(row) {
            self.declared(end, &of);
        }
        let kind = match row.outcome {
            StepState::Completed => LifecycleKind::StepCompleted,
            StepState::Failed => LifecycleKind::StepFailed,
            StepState::Skipped => LifecycleKind::StepSkipped,
            StepState::Cancelled => LifecycleKind::StepCancelled,
            _ => LifecycleKind::StepResolvedManually,
        };
        self.lifecycle(kind, of);
    }

    fn attempt(&mut self, row: &AttemptRow) {
        let Some(end) = End::of_attempt(row) else { return };
        let detail = row.detail.clone();
        let of = EventRow { number: Some(row.number), attempt: row.attempt, detail, ..self.row.clone() };
        self.declared(end, &of);
        self.lifecycle(LifecycleKind::StepRetrying, of);
    }

    fn task_state(&mut self, state: TaskState) {
        let kind = match state {
            TaskState::Completed => LifecycleKind::TaskCompleted,
            TaskState::Failed => LifecycleKind::TaskFailed,
            TaskState::Cancelled => LifecycleKind::TaskCancelled,
            TaskState::ResolvedManually => LifecycleKind::TaskResolvedManually,
            _ => return,
        };
        self.lifecycle(kind, self.row.clone());
    }

    fn declared(&mut self, end: End, of: &EventRow) {
        let Some(number) = of.number else { return };
        let specs: &[EventSpec] = &self.pinned.step(number).definition.publishes_events;
        for (place, spec) in specs.iter().enumerate().filter(|(_, spec)| end.meets(spec.condition)) {
            let made = self.made.at(place);
            let lost = planted(Bug::FailureEventForgotten) && end == End::FailedForNow;
            if made == Some(&Made::Nothing) || lost {
                continue;
            }
            let detail =
                if made == Some(&Made::Failed) { publisher_failed(of.detail.as_deref()) } else { of.detail.clone() };
            let payload = if let Some(Made::Payload(payload)) = made { Some(payload.clone()) } else { None };
            let row = EventRow { name: spec.name.as_str().into(), payload, detail, ..of.clone() };
            self.events.push((spec.delivery_mode, row));
        }
    }

    fn lifecycle(&mut self, kind: LifecycleKind, of: EventRow) {
        if self.snapshot.wanted.has(kind) {
            self.events.push((DeliveryMode::Durable, EventRow { name: kind.as_str().into(), ..of }));
        }
    }
}
