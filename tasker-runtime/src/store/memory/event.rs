//! Events, and who was given which of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use tasker_types::event::matches;
use tasker_types::{TaskId, Timestamp, Wanted, WorkerId};

use super::state::State;
use crate::core::{EventRow, SubscriberId, recipients};
use crate::store::{
    Deliveries, Delivery, DeliveryReport, DeliveryRequest, DuePlace, EventTask, EventView, SubscriberView, Subscription,
};

#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    /// By position.
    rows: BTreeMap<i64, EventRow>,
    newest: i64,
    subscribers: BTreeMap<SubscriberId, Subscriber>,
}

#[derive(Debug, Clone)]
struct Subscriber {
    subscription: Subscription,
    since: Timestamp,
    holder: Option<WorkerId>,
    /// What it is due, by position.
    due: BTreeMap<i64, Due>,
}

#[derive(Debug, Clone)]
struct Due {
    task: TaskId,
    failures: u32,
    due_at: Timestamp,
    error: Option<String>,
}

const AT_ONCE: Timestamp = Timestamp::from_micros(0);

impl Due {
    fn of(row: &EventRow) -> Self {
        Self { task: row.task, failures: 0, due_at: AT_ONCE, error: None }
    }
}

impl Events {
    pub(super) fn write(&mut self, events: &[EventRow]) {
        let first = self.newest + 1;
        let position = |place: usize| first + i64::try_from(place).unwrap_or(i64::MAX);
        let subscribers: Vec<(SubscriberId, Vec<String>)> =
            self.subscribers.iter().map(|(&id, subscriber)| (id, subscriber.subscription.patterns.clone())).collect();
        for (place, id) in recipients(events, &subscribers) {
            if let Some(subscriber) = self.subscribers.get_mut(&id) {
                subscriber.due.insert(position(place), Due::of(&events[place]));
            }
        }
        for (place, row) in events.iter().enumerate() {
            self.newest = position(place);
            self.rows.insert(self.newest, row.clone());
        }
    }

    pub(super) fn wanted(&self) -> Wanted {
        let all = self.subscribers.values().map(|subscriber| wanted(&subscriber.subscription.patterns));
        all.fold(Wanted::NONE, Wanted::and)
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription, now: Timestamp) -> SubscriberId {
        let known = self.subscribers.iter_mut().find(|(_, known)| known.subscription.name == subscription.name);
        if let Some((id, known)) = known {
            known.subscription.patterns = subscription.patterns;
            return *id;
        }
        let id = SubscriberId(self.subscribers.last_key_value().map_or(0, |(id, _)| id.0) + 1);
        let takes = |row: &EventRow| subscription.patterns.iter().any(|pattern| matches(pattern, &row.name));
        let earlier = self.rows.iter().filter(|(_, row)| subscription.from_oldest && takes(row));
        let due = earlier.map(|(&position, row)| (position, Due::of(row))).collect();
        self.subscribers.insert(id, Subscriber { subscription, since: now, holder: None, due });
        id
    }

    pub(super) fn unsubscribe(&mut self, name: &str) -> Option<u64> {
        let is_meant = |subscriber: &Subscriber| *subscriber.subscription.name == *name;
        let id = self.subscribers.iter().find_map(|(&id, subscriber)| is_meant(subscriber).then_some(id))?;
        self.subscribers.remove(&id).map(|subscriber| subscriber.due.len() as u64)
    }

    pub(super) fn subscribers(&self) -> Vec<SubscriberView> {
        let mut views: Vec<SubscriberView> =
            self.subscribers.values().map(|subscriber| self.view(subscriber)).collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        views
    }

    fn view(&self, subscriber: &Subscriber) -> SubscriberView {
        let failing = || subscriber.due.values().filter(|due| due.failures > 0);
        let oldest = subscriber.due.keys().next().and_then(|position| self.rows.get(position));
        SubscriberView {
            name: subscriber.subscription.name.to_string(),
            patterns: subscriber.subscription.patterns.clone(),
            since: subscriber.since,
            held_by: subscriber.holder,
            undelivered: subscriber.due.len() as u64,
            failing: failing().count() as u64,
            oldest: oldest.map(|row| row.at),
            last_error: failing().next_back().and_then(|due| due.error.clone()),
        }
    }

    pub(super) fn delivered(&mut self, subscriber: SubscriberId, report: DeliveryReport) {
        let Some(subscriber) = self.subscribers.get_mut(&subscriber) else { return };
        for position in report.delivered {
            subscriber.due.remove(&position);
        }
        for failed in report.failed {
            if let Some(due) = subscriber.due.get_mut(&failed.position) {
                (due.failures, due.error) = (failed.failures, Some(failed.error));
            }
        }
        for (task, until) in report.waiting {
            for due in subscriber.due.values_mut().filter(|due| due.task == task) {
                due.due_at = until;
            }
        }
    }

    pub(super) fn of_task(&self, task: TaskId, after: Option<i64>, limit: u32) -> Vec<EventView> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.rows.range((behind, Bound::Unbounded)).filter(|(_, row)| row.task == task);
        rows.take(limit as usize)
            .map(|(&position, row)| {
                let missing = self.subscribers.values().filter(|subscriber| subscriber.due.contains_key(&position));
                let mut undelivered: Vec<String> =
                    missing.map(|subscriber| subscriber.subscription.name.to_string()).collect();
                undelivered.sort_unstable();
                EventView { position, row: row.clone(), undelivered }
            })
            .collect()
    }

    /// Whether a subscriber was not given an event of the task.
    pub(super) fn awaits(&self, task: TaskId) -> bool {
        self.subscribers.values().any(|subscriber| subscriber.due.values().any(|due| due.task == task))
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &EventRow> {
        self.rows.values()
    }

    pub(super) fn forget(&mut self, gone: impl Fn(TaskId) -> bool) {
        self.rows.retain(|_, row| !gone(row.task));
    }
}

fn wanted(patterns: &[String]) -> Wanted {
    Wanted::by(patterns.iter().map(String::as_str))
}

impl State {
    pub(super) fn deliveries(&mut self, request: DeliveryRequest, now: Timestamp) -> Deliveries {
        let holder = self.events.subscribers.get(&request.subscriber).and_then(|subscriber| subscriber.holder);
        let other = holder.is_some_and(|holder| holder != request.worker && self.has_lease(holder, now));
        if other || !self.has_lease(request.worker, now) {
            return Deliveries::none(now);
        }
        let Some(subscriber) = self.events.subscribers.get_mut(&request.subscriber) else {
            return Deliveries::none(now);
        };
        subscriber.holder = Some(request.worker);
        let place = |(&position, due): (&i64, &Due)| (DuePlace { due_at: due.due_at, position }, due.task);
        let mut order: Vec<(DuePlace, TaskId)> = subscriber.due.iter().map(place).collect();
        order.sort_unstable();
        let due = order.partition_point(|(place, _)| place.due_at <= now);
        let next = order.get(due).map(|(place, _)| place.due_at.since(now));
        let first = order[..due].partition_point(|&(place, _)| Some(place) <= request.behind);
        let window = order[first..due].iter().take(request.window() as usize);
        let (tasks, more) = request.choose(window.copied());
        let mut taken: BTreeMap<TaskId, u32> = BTreeMap::new();
        let first_ones = subscriber.due.iter().filter(|(_, due)| {
            let taken = taken.entry(due.task).or_default();
            *taken += 1;
            tasks.contains(&due.task) && *taken <= request.events
        });
        let events = first_ones.filter_map(|(&position, due)| {
            let row = self.events.rows.get(&position)?.clone();
            let task = self.tasks.get(&row.task);
            let of = task.map(|(task, input)| EventTask::of(&task.pinned, row.number, input.correlation_id.clone()));
            Some(Delivery { position, failures: due.failures, due_at: due.due_at, row, of: of.unwrap_or_default() })
        });
        Deliveries { held: true, now, events: events.collect(), more, next }
    }
}
