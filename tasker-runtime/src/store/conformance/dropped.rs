//! Whoever asks may go away at any moment: nothing is left half-done, and the store goes on.

use std::time::Duration;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tasker_types::{StepNumber, StepState, TaskState};

use super::World;
use super::event::publishing;
use super::sample::{chain, complete, fail, fan, lease, queues, roots, submit, task, worker};
use crate::core::{Batch, Capacity};
use crate::store::{
    ClaimRequest, DeliveryReport, DeliveryRequest, FailedDelivery, InputRequest, LeaseAct, Page, Store, Subscription,
    TaskFilter, Whose,
};

/// How often a call is polled at most before it is dropped.
const POLLS: usize = 12;

/// Polls a call so many times, whenever it is woken, and drops it. Tells whether it had come to its end.
async fn dropped<T>(times: usize, call: impl Future<Output = T>) -> bool {
    let (mut call, mut left) = (pin!(call), times);
    poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(false) } else { Poll::Pending }
        }
    })
    .await
}

/// Whatever was asked for before this is done or will never be.
async fn settled(store: &dyn Store) {
    store.settled().await.unwrap();
}

pub async fn a_dropped_submit_happened_or_did_not(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(fan(3)).await;
    for polls in 1..=POLLS {
        let number = u32::try_from(polls).unwrap();
        let commands = vec![submit(task(number), &pinned), submit(task(100 + number), &pinned)];
        let batch = Batch { commands: commands.into(), capacity: None, now: Some(w.now) };
        let ended = dropped(polls, store.transact(batch)).await;
        settled(store).await;
        w.look(1).await;
        let there = |number| w.rows.tasks.iter().any(|row| row.id == task(number));
        assert_eq!(there(number), there(100 + number), "both or none");
        assert!(there(number) || !ended);
    }
}

pub async fn a_dropped_outcome_happened_or_did_not(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(fan(3)).await;
    w.enroll(worker(1)).await;
    for polls in 1..=POLLS {
        let id = task(u32::try_from(polls).unwrap());
        w.one(submit(id, &pinned)).await.unwrap();
        let claim = w.claim_one(worker(1)).await;
        let capacity = Capacity { worker: worker(1), free: 2, queues: w.queues.clone(), continued: 0 };
        let batch = Batch { commands: [complete(&claim)].into(), capacity: Some(capacity), now: Some(w.now) };
        let ended = dropped(polls, store.transact(batch)).await;
        settled(store).await;
        w.look(2).await;
        let done = w.states(id)[0] == StepState::Completed;
        assert!(done || !ended);
        let runs = w.states(id).iter().filter(|&&state| state == StepState::Running).count();
        assert_eq!(runs, if done { 2 } else { 1 }, "with its continuations or not at all");
        // Whoever does not know asks again, and is told.
        assert_eq!(w.one(complete(&claim)).await.is_err(), done);
        let left = ClaimRequest { queues: queues([&pinned]), ..w.request(worker(1)) };
        store.claim(left).await.unwrap();
    }
}

pub async fn a_dropped_claim_happened_or_did_not(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    w.enroll(worker(1)).await;
    for polls in 1..=POLLS {
        let id = task(u32::try_from(polls).unwrap());
        w.one(submit(id, &pinned)).await.unwrap();
        let ended = dropped(polls, store.claim(w.request(worker(1)))).await;
        settled(store).await;
        w.look(1).await;
        let held = w.live(id, 0).unwrap().clone();
        let taken = held.state == StepState::Running;
        assert_eq!(w.task_state(id), if taken { TaskState::Running } else { TaskState::Pending });
        assert!(taken || !ended);
        // A claim that nobody knows of is found again.
        let claims = store.claims(Whose::Worker(worker(1)), 100).await.unwrap();
        assert_eq!(claims.iter().any(|(step, ..)| step.task == id), taken);
        store.claim(w.request(worker(1))).await.unwrap();
        w.look(1).await;
    }
}

pub async fn a_dropped_look_at_what_is_due_happened_or_did_not(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    for polls in 1..=POLLS {
        let number = u32::try_from(polls).unwrap();
        let ids = [task(number), task(100 + number)];
        w.transact(ids.iter().map(|&id| submit(id, &pinned)).collect()).await;
        let claims = w.claim(worker(1), 100).await;
        w.transact(claims.iter().map(fail).collect()).await;
        w.pass(100_000);
        let ended = dropped(polls, store.due(Some(w.now))).await;
        settled(store).await;
        w.look(1).await;
        let [one, other] = ids.map(|id| w.states(id)[0]);
        assert_eq!(one, other, "both or none");
        assert!(one == StepState::Ready || one == StepState::WaitingForRetry && !ended, "{one}");
        w.due().await;
        let claims = w.claim(worker(1), 100).await;
        w.transact(claims.iter().map(complete).collect()).await;
    }
}

pub async fn a_dropped_lease_was_written_or_not(store: &dyn Store) {
    let mut w = World::new(store);
    for polls in 1..=POLLS {
        let id = worker(u32::try_from(polls).unwrap());
        let mut at = w.now;
        for (act, is_done) in [(LeaseAct::Begin, false), (LeaseAct::Renew, true), (LeaseAct::End, true)] {
            let ended = dropped(polls, store.lease(lease(id, act, w.now))).await;
            settled(store).await;
            let workers = store.workers(Some(w.now)).await.unwrap();
            let view = workers.iter().find(|view| view.id == id);
            let written = view.is_some_and(|view| match act {
                LeaseAct::Begin | LeaseAct::Renew => view.renewed_at == w.now,
                LeaseAct::End => !view.is_live,
            });
            assert!(written || !ended, "{act:?}");
            assert!(written || view.is_some_and(|view| view.is_live && view.renewed_at == at) == is_done, "{view:?}");
            if act == LeaseAct::End {
                assert_eq!(store.lease(lease(id, LeaseAct::Renew, w.now)).await.unwrap().held, !written);
            } else {
                assert!(store.lease(lease(id, act, w.now)).await.unwrap().held);
            }
            at = w.now;
            w.pass(1_000);
        }
    }
}

pub async fn a_dropped_subscription_happened_or_did_not(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(publishing(roots(2))).await;
    w.enroll(worker(1)).await;
    for polls in 1..=POLLS {
        let name = format!("subscriber {polls}");
        let view = async || store.subscribers().await.unwrap().into_iter().find(|view| view.name == name);
        let new = Subscription { name: (&*name).into(), patterns: vec!["step.*".to_owned()], from_oldest: false };
        let ended = dropped(polls, store.subscribe(new.clone(), Some(w.now))).await;
        settled(store).await;
        assert!(view().await.is_some() || !ended);
        let subscriber = store.subscribe(new, Some(w.now)).await.unwrap();
        assert_eq!(view().await.unwrap().patterns, ["step.*"]);

        let id = task(u32::try_from(polls).unwrap());
        w.one(submit(id, &pinned)).await.unwrap();
        let claims = w.claim(worker(1), 100).await;
        w.transact(claims.iter().map(complete).collect()).await;
        let request =
            DeliveryRequest { subscriber, worker: worker(1), tasks: 10, events: 10, behind: None, now: Some(w.now) };
        let ended = dropped(polls, store.deliveries(request)).await;
        settled(store).await;
        let held_by = view().await.unwrap().held_by;
        assert!(held_by == Some(worker(1)) || held_by.is_none() && !ended);
        let due = store.deliveries(request).await.unwrap();
        assert_eq!((due.held, due.events.len()), (true, 2), "what nobody was given is still due");

        let failed = FailedDelivery { position: due.events[1].position, failures: 1, error: "no".to_owned() };
        let delivered = vec![due.events[0].position];
        let waiting = vec![(id, w.now + Duration::from_secs(5))];
        let report = DeliveryReport { delivered, failed: vec![failed], waiting };
        let ended = dropped(polls, store.delivered(subscriber, report.clone())).await;
        settled(store).await;
        let left = store.deliveries(request).await.unwrap().events.len();
        let now = view().await.unwrap();
        let written = (now.undelivered, now.failing, left) == (1, 1, 0);
        assert!(written || (now.undelivered, now.failing, left) == (2, 0, 2) && !ended, "{now:?}, {left} due");
        store.delivered(subscriber, report).await.unwrap();
        assert_eq!(view().await.unwrap().undelivered, 1);

        let ended = dropped(polls, store.unsubscribe(&name)).await;
        settled(store).await;
        let gone = view().await.is_none();
        assert!(gone || !ended);
        assert_eq!(store.unsubscribe(&name).await.unwrap(), (!gone).then_some(1));
        let events = store.events_of(id, None, 10).await.unwrap();
        assert!(events.len() == 2 && events.iter().all(|event| event.undelivered.is_empty()));
    }
}

pub async fn a_dropped_prune_happened_or_did_not(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    for polls in 1..=POLLS {
        let ids = [1, 2, 3].map(|number| task(u32::try_from(polls * 10 + number).unwrap()));
        w.transact(ids.iter().map(|&id| submit(id, &pinned)).collect()).await;
        let claims = w.claim(worker(1), 100).await;
        w.transact(claims.iter().map(complete).collect()).await;
        w.pass(1_000);
        let ended = dropped(polls, store.prune(Duration::ZERO, 10, Some(w.now))).await;
        settled(store).await;
        w.look(0).await;
        let left = w.rows.tasks.len();
        assert!(left == 0 || left == 3 && !ended, "{left} of 3 are left");
        store.prune(Duration::ZERO, 10, Some(w.now)).await.unwrap();
    }
}

pub async fn dropped_maintenance_leaves_the_store_whole(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(2)).await;
    for polls in 1..=POLLS {
        let mut template = chain(1);
        template.template.version = format!("1.{polls}.0");
        let ended = dropped(polls, store.pin(template.clone(), w.now)).await;
        dropped(polls, store.version()).await;
        dropped(polls, store.settled()).await;
        settled(store).await;
        w.look(0).await;
        let found = store.find_template("default", "chain", Some(&template.template.version)).await.unwrap();
        assert!(found.is_some() || !ended);
        if let Some(found) = found {
            assert_eq!(found.template, template.template, "what was stored is whole");
            let queues = store.queues().await.unwrap();
            assert!(found.steps.iter().all(|step| queues.iter().any(|queue| queue.id == step.queue)));
        }
    }
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Completed, StepState::Ready]);
}

pub async fn dropped_reads_do_not_make_later_reads_stale(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(2)).await;
    let page = Page { before: None, limit: 10 };
    for polls in 1..=POLLS {
        let id = task(u32::try_from(polls).unwrap());
        w.one(submit(id, &pinned)).await.unwrap();
        for _ in 0..4 {
            let wanted = InputRequest {
                task: id,
                context: true,
                results: vec![StepNumber(0)],
                workers_from: None,
                checkpoint_of: None,
            };
            dropped(polls, store.find_task(id)).await;
            dropped(polls, store.dump(None, 100)).await;
            dropped(polls, store.list_tasks(TaskFilter::default(), page)).await;
            dropped(polls, store.inputs(vec![wanted])).await;
            dropped(polls, store.find_template("default", "chain", None)).await;
            dropped(polls, store.list_templates()).await;
            dropped(polls, store.tasks_by_prefix("0", 10)).await;
            dropped(polls, store.cancelling(vec![id])).await;
            dropped(polls, store.claims(Whose::Expired(Some(w.now)), 10)).await;
            dropped(polls, store.claims(Whose::Worker(worker(1)), 10)).await;
            dropped(polls, store.overdue(Some(vec![id]), Some(w.now), 10)).await;
            dropped(polls, store.overdue(None, Some(w.now), 10)).await;
            dropped(polls, store.workers(Some(w.now))).await;
            dropped(polls, store.queues()).await;
            dropped(polls, store.with_lifecycle()).await;
            dropped(polls, store.task_state(id)).await;
            dropped(polls, store.failures(TaskFilter::default(), 10)).await;
            dropped(polls, store.subscribers()).await;
            dropped(polls, store.events_of(id, None, 10)).await;
            dropped(polls, store.counts()).await;
        }
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
        // As many at once as there can be connections, so that each of them is asked.
        let views = tokio::join!(
            store.find_task(id),
            store.find_task(id),
            store.find_task(id),
            store.find_task(id),
            store.find_task(id),
            store.find_task(id)
        );
        for view in [views.0, views.1, views.2, views.3, views.4, views.5] {
            assert_eq!(view.unwrap().unwrap().steps[0].state, StepState::Completed);
        }
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    fn names(text: &str, before: &str) -> BTreeSet<String> {
        let rests = text.split(before).skip(1);
        rests.map(|rest| rest.chars().take_while(|&c| c.is_ascii_alphanumeric() || c == '_').collect()).collect()
    }

    #[test]
    fn every_call_of_a_store_is_dropped_by_a_test() {
        let contract = include_str!("../contract.rs");
        let (_, contract) = contract.split_once("pub trait Store:").expect("it is there");
        let (calls, _) = contract.split_once("\n}\n").expect("it ends");
        let calls = names(calls, "    async fn ");
        let (suite, _) = include_str!("dropped.rs").split_once("#[cfg(test)]").expect("it is here");
        // Whichever way the lines are broken.
        let suite: String = suite.split_whitespace().collect();
        let dropped = names(&suite, "dropped(polls,store.");
        assert!(calls.len() > 25, "{calls:?}");
        assert_eq!(dropped, calls);
    }
}
