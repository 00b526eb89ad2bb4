//! Calls about events: who subscribes, what each is due, what became of it.
//!
//! Positions are not compared: a server leaves some out where it undoes a transaction. Their order is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tasker_types::{DeliveryMode, EventCondition, TaskId, Timestamp};

use super::Both;
use crate::core::{EventRow, Made, Published, ResolvedTemplate, SubscriberId};
use crate::store::conformance::event::event;
use crate::store::conformance::sample::{at, task, worker};
use crate::store::{
    Deliveries, DeliveryReport, DeliveryRequest, DuePlace, EventTask, EventView, FailedDelivery, Store, StoreError,
    Subscription,
};

const NAMES: [&str; 3] = ["audit", "mailer", "watch"];
const PATTERNS: [&[&str]; 6] =
    [&["step.*"], &["step.done", "tasker.task.*"], &["*"], &["tasker.*"], &["order.*"], &["step.broken", "step.both"]];

#[derive(Debug, Clone)]
pub(in crate::store) enum EventCall {
    Subscribe {
        name: usize,
        patterns: usize,
        from_oldest: bool,
    },
    Unsubscribe {
        name: usize,
    },
    Deliveries {
        name: usize,
        worker: u32,
        tasks: u32,
        events: u32,
        goes_on: bool,
        became: Option<Became>,
    },
    /// What became of what was given last, a second time.
    Delivered {
        name: usize,
        became: Became,
    },
    Read {
        task: u32,
        behind: usize,
        limit: u32,
    },
}

/// What became of events that were given: bit by bit taken, or failed.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Became {
    taken: u32,
    failed: u32,
    wait_ms: u64,
}

pub(super) fn calls() -> impl Strategy<Value = EventCall> {
    let name = || 0..NAMES.len();
    // The first worker is the one that still has its lease most often.
    let by = prop_oneof![4 => Just(1u32), 1 => 0..4u32];
    let became = || {
        (any::<u32>(), any::<u32>(), 0..3_000u64).prop_map(|(taken, failed, wait_ms)| Became { taken, failed, wait_ms })
    };
    prop_oneof![
        1 => (name(), 0..PATTERNS.len(), any::<bool>())
            .prop_map(|(name, patterns, from_oldest)| EventCall::Subscribe { name, patterns, from_oldest }),
        1 => name().prop_map(|name| EventCall::Unsubscribe { name }),
        9 => (name(), by, 0..6u32, 0..6u32, any::<bool>(), prop::option::weighted(0.8, became())).prop_map(
            |(name, worker, tasks, events, goes_on, became)| {
                EventCall::Deliveries { name, worker, tasks, events, goes_on, became }
            }
        ),
        1 => (name(), became()).prop_map(|(name, became)| EventCall::Delivered { name, became }),
        2 => (0..13u32, 0..4usize, 0..5u32).prop_map(|(task, behind, limit)| EventCall::Read { task, behind, limit }),
    ]
}

/// An event that was given: where it stands, its task, and how often it failed.
type OneGiven = (i64, TaskId, u32);

/// What was given to a subscriber last, by each of the two.
#[derive(Debug, Default)]
pub(super) struct Given {
    ids: BTreeMap<usize, [SubscriberId; 2]>,
    events: BTreeMap<usize, [Vec<OneGiven>; 2]>,
    /// How far each has looked.
    more: BTreeMap<usize, [Option<DuePlace>; 2]>,
}

/// The template, whose steps publish.
pub(super) fn publishing(mut template: ResolvedTemplate) -> ResolvedTemplate {
    for step in &mut template.template.steps {
        let mut made = event("step.done", EventCondition::Success, DeliveryMode::Durable);
        made.publisher = Some("publisher".to_owned());
        step.publishes_events = vec![
            made,
            event("step.broken", EventCondition::Failure, DeliveryMode::Durable),
            event("step.both", EventCondition::Always, DeliveryMode::Broadcast),
            event("step.fast", EventCondition::Success, DeliveryMode::Fast),
        ];
    }
    template
}

/// What the publisher made of the first event.
pub(super) fn published(seed: u64) -> Published {
    let made = match seed % 4 {
        0 => return Published::default(),
        1 => Made::Nothing,
        2 => Made::Failed,
        _ => Made::Payload(format!("{{\"seed\":{seed}}}").into()),
    };
    Published::of(vec![(0, made)])
}

impl Both {
    pub(super) async fn event_call(&mut self, call: EventCall) {
        match call {
            EventCall::Subscribe { name, patterns, from_oldest } => {
                let patterns = PATTERNS[patterns].iter().map(|&pattern| pattern.to_owned()).collect();
                let subscription = Subscription { name: NAMES[name].into(), patterns, from_oldest };
                let now = Some(at(self.now));
                let memory = self.memory.subscribe(subscription.clone(), now).await;
                let file = self.file().subscribe(subscription, now).await;
                if let (Ok(memory), Ok(file)) = (&memory, &file) {
                    let known = self.given.ids.insert(name, [*memory, *file]);
                    assert!(known.is_none_or(|known| known == [*memory, *file]), "a name keeps its number");
                }
                self.answered(memory.map(drop), file.map(drop));
            }
            EventCall::Unsubscribe { name } => {
                let memory = self.memory.unsubscribe(NAMES[name]).await;
                let file = self.file().unsubscribe(NAMES[name]).await;
                self.answered(memory, file);
                self.given.ids.remove(&name);
                self.given.events.remove(&name);
                self.given.more.remove(&name);
            }
            EventCall::Deliveries { name, worker: by, tasks, events, goes_on, became } => {
                let Some(&ids) = self.given.ids.get(&name) else { return };
                let behind = self.given.more.get(&name).filter(|_| goes_on).copied().unwrap_or_default();
                let request = |of: usize| DeliveryRequest {
                    subscriber: ids[of],
                    worker: worker(by),
                    tasks,
                    events,
                    behind: behind[of],
                    now: Some(at(self.now)),
                };
                let memory = self.memory.deliveries(request(0)).await;
                let file = self.file().deliveries(request(1)).await;
                if let (Ok(memory), Ok(file)) = (&memory, &file) {
                    self.given.events.insert(name, [memory, file].map(positions));
                    self.given.more.insert(name, [memory, file].map(|due| due.more));
                }
                self.answered(memory.map(without_positions), file.map(without_positions));
                if let Some(became) = became {
                    self.delivered(name, became).await;
                }
            }
            EventCall::Delivered { name, became } => self.delivered(name, became).await,
            EventCall::Read { task: number, behind, limit } => {
                let mut after = [None, None];
                for (of, store) in [&self.memory as &dyn Store, self.file()].into_iter().enumerate() {
                    let all = store.events_of(task(number), None, 1_000).await.unwrap();
                    after[of] = all.get(behind).map(|event| event.position);
                }
                let memory = self.memory.events_of(task(number), after[0], limit).await;
                let file = self.file().events_of(task(number), after[1], limit).await;
                self.answered(rows(memory), rows(file));
            }
        }
        let told = (self.memory.subscribers().await, self.file().subscribers().await);
        self.answered(told.0, told.1);
    }

    async fn delivered(&mut self, name: usize, became: Became) {
        let (Some(&ids), Some(given)) = (self.given.ids.get(&name), self.given.events.get(&name)) else { return };
        let [memory, file] = [0, 1].map(|of| report(&given[of], became, self.now));
        let memory = self.memory.delivered(ids[0], memory).await;
        let file = self.file().delivered(ids[1], file).await;
        self.answered(memory, file);
    }

    /// From the start, each name is there.
    pub(super) async fn subscribe_all(&mut self) {
        for name in 0..NAMES.len() {
            self.event_call(EventCall::Subscribe { name, patterns: name, from_oldest: false }).await;
        }
    }
}

fn positions(deliveries: &Deliveries) -> Vec<OneGiven> {
    assert!(deliveries.events.is_sorted_by_key(|event| event.position));
    deliveries.events.iter().map(|event| (event.position, event.row.task, event.failures)).collect()
}

type Told =
    (bool, Timestamp, Option<Timestamp>, Option<std::time::Duration>, Vec<(u32, Timestamp, EventRow, EventTask)>);

fn without_positions(deliveries: Deliveries) -> Told {
    let Deliveries { held, now, events, more, next } = deliveries;
    let events = events.into_iter().map(|event| (event.failures, event.due_at, event.row, event.of));
    (held, now, more.map(|place| place.due_at), next, events.collect())
}

fn rows(events: Result<Vec<EventView>, StoreError>) -> Result<Vec<(EventRow, Vec<String>)>, StoreError> {
    events.map(|events| events.into_iter().map(|event| (event.row, event.undelivered)).collect())
}

/// Some are taken, some failed, and the tasks of these wait.
fn report(given: &[OneGiven], became: Became, now: u64) -> DeliveryReport {
    let (Became { taken, failed, wait_ms }, mut report) = (became, DeliveryReport::default());
    for (bit, &(position, task, failures)) in given.iter().take(32).enumerate() {
        if taken >> bit & 1 == 1 {
            report.delivered.push(position);
        } else if failed >> bit & 1 == 1 {
            let error = format!("failure {} of event {bit}", failures + 1);
            report.failed.push(FailedDelivery { position, failures: failures + 1, error });
            report.waiting.push((task, at(now + wait_ms)));
        }
    }
    report.waiting.sort_unstable();
    report.waiting.dedup();
    report
}
