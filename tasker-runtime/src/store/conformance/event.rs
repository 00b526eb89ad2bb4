//! Events are rows of the transactions that they tell of, and are due until they were delivered.

use std::time::Duration;

use tasker_types::{DeliveryMode, EventCondition, EventSpec, LifecycleKind, StepNumber, TaskId, WorkerId};

use super::World;
use super::sample::{act, at, cancel, chain, complete, fail, fail_for_good, retry, roots, submit, task, worker};
use crate::core::{Act, ByHand, Made, Outcome, Published, ResolvedTemplate, Says, SubscriberId, check};
use crate::store::{
    Deliveries, Delivery, DeliveryReport, DeliveryRequest, EventTask, FailedDelivery, Store, Subscription,
};

/// An event that a step publishes.
pub fn event(name: &str, condition: EventCondition, delivery_mode: DeliveryMode) -> EventSpec {
    EventSpec { name: name.to_owned(), condition, delivery_mode, publisher: None }
}

/// The template in which each step publishes `step.done` when it completed, and `step.broken` when it failed.
pub fn publishing(mut template: ResolvedTemplate) -> ResolvedTemplate {
    for step in &mut template.template.steps {
        step.publishes_events = vec![
            event("step.done", EventCondition::Success, DeliveryMode::Durable),
            event("step.broken", EventCondition::Failure, DeliveryMode::Durable),
        ];
    }
    template
}

type W<'s, 'd> = World<'s, dyn Store + 'd>;

async fn subscribe(w: &W<'_, '_>, name: &str, patterns: &[&str], from_oldest: bool) -> SubscriberId {
    let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    w.store.subscribe(Subscription { name: name.into(), patterns, from_oldest }, Some(w.now)).await.unwrap()
}

async fn due_to(w: &mut W<'_, '_>, subscriber: SubscriberId, by: WorkerId) -> Deliveries {
    w.enroll(by).await;
    let request = DeliveryRequest { subscriber, worker: by, tasks: 10, events: 10, now: Some(w.now) };
    w.store.deliveries(request).await.unwrap()
}

async fn due(w: &mut W<'_, '_>, subscriber: SubscriberId) -> Vec<Delivery> {
    let due = due_to(w, subscriber, worker(1)).await;
    assert!(due.held);
    due.events
}

fn names(events: &[Delivery]) -> Vec<(TaskId, u32, &str)> {
    let of = |event: &Delivery| event.row.number.map_or(u32::MAX, |number| number.0);
    let mut names: Vec<_> = events.iter().map(|event| (event.position, event)).collect();
    names.sort_by_key(|&(position, event)| (event.row.task, position));
    names.into_iter().map(|(_, event)| (event.row.task, of(event), &*event.row.name)).collect()
}

async fn take(w: &W<'_, '_>, subscriber: SubscriberId, events: &[Delivery]) {
    let delivered = events.iter().map(|event| event.position).collect();
    w.store.delivered(subscriber, DeliveryReport { delivered, ..DeliveryReport::default() }).await.unwrap();
}

fn stored(w: &W<'_, '_>) -> Vec<String> {
    w.rows.events.iter().map(|event| event.name.to_string()).collect()
}

pub async fn events_are_rows_of_the_transaction_that_ends_their_attempt(store: &dyn Store) {
    use EventCondition::{Always, Failure, PermanentFailure, RetryableFailure, Success};
    let mut w = World::new(store);
    let mut template = chain(2);
    let all = [Success, Failure, RetryableFailure, PermanentFailure, Always];
    template.template.steps[0].publishes_events =
        all.iter().map(|&on| event(on.as_str(), on, DeliveryMode::Durable)).collect();
    let id = w.start(1, template).await;
    let claim = w.claim_one(worker(1)).await;
    assert_eq!(w.transact(vec![fail(&claim)]).await.events, 3);
    assert_eq!(stored(&w), ["failure", "retryable_failure", "always"]);
    let row = w.rows.events[0].clone();
    assert_eq!((row.task, row.number, row.attempt, row.at), (id, Some(StepNumber(0)), 1, w.now));
    assert!(row.result.is_none() && row.detail.is_some_and(|detail| detail.contains("retryable_error")));
    w.pass(100_000);
    w.due().await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    assert_eq!(stored(&w)[3..], ["failure", "permanent_failure", "always"]);
    w.one(retry(id, 1)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(stored(&w)[6..], ["success", "always"]);
    let row = &w.rows.events[7];
    assert_eq!((row.attempt, row.result.as_deref()), (3, Some(r#"{"step":0,"attempt":3}"#)));
}

pub async fn what_is_ended_by_hand_before_its_next_attempt_is_told_beside_the_failure(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, publishing(chain(1))).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    let by_hand = ByHand::Complete { result: "7".into(), says: Says::Nothing };
    w.one(act(id, Act::End(StepNumber(0), by_hand), 1)).await.unwrap();
    let told: Vec<_> = w.rows.events.iter().map(|event| (&*event.name, event.attempt)).collect();
    assert_eq!(told, [("step.broken", 1), ("step.done", 1)]);
    assert_eq!(check(&w.rows), [], "the attempt has two ends");
}

pub async fn a_task_that_is_acted_on_in_the_batch_that_makes_it_publishes(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(publishing(chain(2))).await;
    let by_hand = ByHand::Complete { result: "7".into(), says: Says::Nothing };
    let act = act(task(1), Act::End(StepNumber(0), by_hand), 1);
    w.transact(vec![submit(task(1), &pinned), act]).await;
    assert_eq!(stored(&w), ["step.done"]);
}

pub async fn what_publishers_made_is_stored(store: &dyn Store) {
    let mut w = World::new(store);
    let mut template = chain(1);
    template.template.steps[0].publishes_events = ["made", "kept_back", "plain", "failed"]
        .map(|name| EventSpec {
            publisher: (name != "plain").then(|| "p".to_owned()),
            ..event(name, EventCondition::Success, DeliveryMode::Durable)
        })
        .to_vec();
    w.start(1, template).await;
    let claim = w.claim_one(worker(1)).await;
    let crate::core::Command::Finish(mut finish) = complete(&claim) else { unreachable!("it ends a claim") };
    finish.published = Published::of(vec![(0, Made::Payload("[7]".into())), (1, Made::Nothing), (3, Made::Failed)]);
    w.one(crate::core::Command::Finish(finish)).await.unwrap();
    assert_eq!(stored(&w), ["made", "plain", "failed"]);
    let payloads: Vec<_> = w.rows.events.iter().map(|event| event.payload.as_deref()).collect();
    assert_eq!(payloads, [Some("[7]"), None, None]);
    assert_eq!(w.rows.events[2].detail.as_deref(), Some(r#"{"publisher_failed":true}"#));
}

pub async fn a_refused_outcome_publishes_nothing(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, publishing(chain(1))).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact(vec![complete(&claim), complete(&claim)]).await;
    assert!(committed.replies[0].is_ok() && committed.replies[1].is_err());
    assert_eq!(stored(&w), ["step.done"]);
}

pub async fn events_that_are_told_at_once_are_not_stored(store: &dyn Store) {
    let mut w = World::new(store);
    let mut template = chain(1);
    let modes = [("fast", DeliveryMode::Fast), ("both", DeliveryMode::Broadcast)];
    template.template.steps[0].publishes_events =
        modes.map(|(name, mode)| event(name, EventCondition::Always, mode)).to_vec();
    w.start(1, template).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact(vec![complete(&claim)]).await;
    let told: Vec<_> = committed.told.iter().map(|event| (&*event.row.name, event.is_stored, &*event.step)).collect();
    assert_eq!(told, [("fast", false, "step_0"), ("both", true, "step_0")]);
    assert_eq!((committed.events, stored(&w)), (1, vec!["both".to_owned()]));
}

pub async fn a_subscriber_is_due_what_is_stored_after_it_came(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, publishing(chain(3))).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let new = subscribe(&w, "new", &["step.*"], false).await;
    let all = subscribe(&w, "all", &["step.done", "else"], true).await;
    let other = subscribe(&w, "other", &["order.*"], true).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let events = due(&mut w, new).await;
    assert_eq!(names(&events), [(id, 1, "step.done")]);
    let of = EventTask {
        namespace: "default".into(),
        step: "step_1".into(),
        correlation_id: format!("correlation of {id}"),
    };
    assert_eq!((&events[0].of, events[0].failures, &events[0].row), (&of, 0, &w.rows.events[1]));
    assert_eq!(names(&due(&mut w, all).await), [(id, 0, "step.done"), (id, 1, "step.done")]);
    assert_eq!(names(&due(&mut w, other).await), []);
    assert_eq!(subscribe(&w, "new", &["step.broken"], true).await, new, "it is known: it keeps what it is due");
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(names(&due(&mut w, new).await), [(id, 1, "step.done")], "what it takes has changed");
}

pub async fn what_was_delivered_is_not_due_any_more(store: &dyn Store) {
    let mut w = World::new(store);
    let one = subscribe(&w, "one", &["step.*"], false).await;
    let two = subscribe(&w, "two", &["step.*"], false).await;
    let pinned = w.pin(publishing(chain(1))).await;
    w.transact((1..=3).map(|number| submit(task(number), &pinned)).collect()).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(complete).collect()).await;
    let events = due(&mut w, one).await;
    assert_eq!(names(&events), [1, 2, 3].map(|number| (task(number), 0, "step.done")));
    take(&w, one, &events[..2]).await;
    assert_eq!(due(&mut w, one).await, events[2..]);
    assert_eq!(due(&mut w, two).await.len(), 3, "each has its own");
}

pub async fn events_of_a_task_come_in_their_order_and_in_bounded_portions(store: &dyn Store) {
    let mut w = World::new(store);
    let subscriber = subscribe(&w, "one", &["*"], false).await;
    let pinned = w.pin(publishing(chain(5))).await;
    w.transact((1..=4).map(|number| submit(task(number), &pinned)).collect()).await;
    for _ in 0..5 {
        // The tasks in another order each time: positions of one task lie apart.
        let mut claims = w.claim(worker(1), 100).await;
        claims.reverse();
        w.transact(claims.iter().map(complete).collect()).await;
    }
    let mut seen = Vec::new();
    loop {
        w.enroll(worker(1)).await;
        let request = DeliveryRequest { subscriber, worker: worker(1), tasks: 3, events: 2, now: Some(w.now) };
        let events = store.deliveries(request).await.unwrap().events;
        if events.is_empty() {
            break;
        }
        assert!(events.len() <= 6, "of three tasks two each: {}", events.len());
        assert!(events.is_sorted_by_key(|event| event.position));
        take(&w, subscriber, &events).await;
        seen.extend(events);
    }
    assert_eq!(seen.len(), 20);
    for number in 1..=4 {
        let of: Vec<_> = seen.iter().filter(|event| event.row.task == task(number)).collect();
        assert!(of.is_sorted_by_key(|event| event.row.number), "{of:?}");
    }
}

pub async fn events_behind_a_failed_one_wait_with_it(store: &dyn Store) {
    let mut w = World::new(store);
    let subscriber = subscribe(&w, "one", &["*"], false).await;
    let pinned = w.pin(publishing(chain(3))).await;
    w.transact(vec![submit(task(1), &pinned), submit(task(2), &pinned)]).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(complete).collect()).await;
    let events = due(&mut w, subscriber).await;
    let failed = FailedDelivery { position: events[0].position, failures: 1, error: "no".to_owned() };
    let until = w.now + Duration::from_secs(5);
    let report = DeliveryReport { delivered: vec![], failed: vec![failed], waiting: vec![(events[0].row.task, until)] };
    store.delivered(subscriber, report).await.unwrap();
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(complete).collect()).await;
    let (bad, good) = (events[0].row.task, events[1].row.task);
    let now_due = due_to(&mut w, subscriber, worker(1)).await;
    // The later event of the task that waits is found, behind the first one, which says until when.
    assert_eq!(
        names(&now_due.events),
        [(bad, 0, "step.done"), (bad, 1, "step.done"), (good, 0, "step.done"), (good, 1, "step.done")]
    );
    let first = now_due.events.iter().find(|event| event.row.task == bad).unwrap();
    assert_eq!((first.due_at, first.failures), (until, 1));
    let waiting = DeliveryReport { waiting: vec![(bad, until)], ..DeliveryReport::default() };
    store.delivered(subscriber, waiting).await.unwrap();
    let now_due = due_to(&mut w, subscriber, worker(1)).await;
    assert_eq!(names(&now_due.events), [(good, 0, "step.done"), (good, 1, "step.done")]);
    assert_eq!(now_due.next, Some(Duration::from_secs(5)));
    take(&w, subscriber, &now_due.events).await;
    let view = &store.subscribers().await.unwrap()[0];
    assert_eq!((view.undelivered, view.failing, view.last_error.as_deref()), (2, 1, Some("no")));
    w.pass(5_000);
    assert_eq!(names(&due(&mut w, subscriber).await), [(bad, 0, "step.done"), (bad, 1, "step.done")]);
}

pub async fn one_worker_at_a_time_gives_a_subscriber_its_events(store: &dyn Store) {
    let mut w = World::new(store);
    let subscriber = subscribe(&w, "one", &["*"], false).await;
    let second = subscribe(&w, "two", &["*"], false).await;
    w.start(1, publishing(roots(1))).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert!(due_to(&mut w, subscriber, worker(1)).await.held);
    let other = due_to(&mut w, subscriber, worker(2)).await;
    assert_eq!((other.held, other.events), (false, vec![]));
    assert!(due_to(&mut w, second, worker(2)).await.held, "each subscriber has a worker of its own");
    let stranger = DeliveryRequest { subscriber, worker: worker(9), tasks: 1, events: 1, now: Some(w.now) };
    assert!(!store.deliveries(stranger).await.unwrap().held, "it has no lease");
    let end = super::sample::lease(worker(1), crate::store::LeaseAct::End, w.now);
    store.lease(end).await.unwrap();
    let other = due_to(&mut w, subscriber, worker(2)).await;
    assert_eq!((other.held, other.events.len()), (true, 1));
}

pub async fn lifecycle_events_are_stored_only_while_somebody_subscribes_to_them(store: &dyn Store) {
    let mut w = World::new(store);
    let run = async |w: &mut W<'_, '_>, number: u32| {
        let id = w.start(number, chain(1)).await;
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
        id
    };
    run(&mut w, 1).await;
    assert_eq!(stored(&w), [""; 0]);
    let subscriber = subscribe(&w, "watch", &["tasker.task.*", "tasker.step.retrying"], false).await;
    subscribe(&w, "all", &["*"], false).await;
    let id = run(&mut w, 2).await;
    assert_eq!(stored(&w), [LifecycleKind::TaskCompleted.as_str()]);
    assert_eq!(names(&due(&mut w, subscriber).await), [(id, u32::MAX, "tasker.task.completed")]);
    w.start(3, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    w.one(cancel(task(3), 1)).await.unwrap();
    assert_eq!(stored(&w)[1..], [LifecycleKind::StepRetrying.as_str(), LifecycleKind::TaskCancelled.as_str()]);
    assert_eq!(store.unsubscribe("watch").await.unwrap(), Some(3));
    assert_eq!(store.unsubscribe("watch").await.unwrap(), None);
    w.pass(1);
    run(&mut w, 4).await;
    assert_eq!(stored(&w).len(), 3);
}

pub async fn an_undelivered_event_keeps_its_task_from_being_pruned(store: &dyn Store) {
    let mut w = World::new(store);
    let subscriber = subscribe(&w, "one", &["step.*"], false).await;
    subscribe(&w, "other", &["order.*"], false).await;
    let pinned = w.pin(publishing(chain(1))).await;
    w.transact(vec![submit(task(1), &pinned), submit(task(2), &pinned)]).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(complete).collect()).await;
    let events = due(&mut w, subscriber).await;
    w.pass(1_000);
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 0);
    take(&w, subscriber, &events[..1]).await;
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 1);
    w.look(0).await;
    assert_eq!(w.rows.events.len(), 1, "the events go with their task");
    assert_eq!(due(&mut w, subscriber).await, events[1..]);
    assert_eq!(store.unsubscribe("one").await.unwrap(), Some(1));
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 1);
}

pub async fn subscribers_and_events_are_told(store: &dyn Store) {
    let mut w = World::new(store);
    let b = subscribe(&w, "b", &["step.*", "order.paid"], false).await;
    subscribe(&w, "a", &["*"], false).await;
    let id = w.start(1, publishing(roots(2))).await;
    w.pass(10);
    let claims = w.claim(worker(1), 100).await;
    let outcome = Outcome::Completed { result: "[1]".into(), detail: None };
    w.transact(vec![complete(&claims[0]), super::sample::finish(&claims[1], outcome)]).await;
    let views = store.subscribers().await.unwrap();
    assert_eq!(views.iter().map(|view| &*view.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(views[1].patterns, ["step.*", "order.paid"]);
    assert_eq!((views[1].since, views[1].undelivered, views[1].failing), (at(0), 2, 0));
    assert_eq!((views[1].oldest, &views[1].last_error), (Some(w.now), &None));
    let events = store.events_of(id, None, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.row.clone()).collect::<Vec<_>>(), w.rows.events);
    assert_eq!(events[1].undelivered, ["a", "b"]);
    store.unsubscribe("a").await.unwrap();
    assert_eq!(store.events_of(id, None, 10).await.unwrap()[1].undelivered, ["b"]);
    assert_eq!(store.events_of(id, None, 1).await.unwrap()[0].position, events[0].position);
    let behind = store.events_of(id, Some(events[0].position), 10).await.unwrap();
    assert_eq!(behind.iter().map(|event| event.position).collect::<Vec<_>>(), [events[1].position]);
    assert_eq!(behind[0].undelivered, ["b"]);
    assert!(store.events_of(task(9), None, 10).await.unwrap().is_empty());
    assert_eq!(store.subscribers().await.unwrap()[0].held_by, None);
    assert!(due_to(&mut w, b, worker(2)).await.held);
    assert_eq!(store.subscribers().await.unwrap()[0].held_by, Some(worker(2)));
}
