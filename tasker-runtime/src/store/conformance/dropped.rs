//! Whoever asks may go away at any moment: nothing is left half-done, and the store goes on.

use std::time::Duration;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tasker_types::{StepNumber, StepState, TaskState};

use super::World;
use super::sample::{chain, complete, fan, lease, queues, submit, task, worker};
use crate::core::{Batch, Capacity};
use crate::store::{ClaimRequest, InputRequest, LeaseAct, Page, Store, TaskFilter, Whose};

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

pub async fn dropped_maintenance_leaves_the_store_whole(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(2)).await;
    for polls in 1..=POLLS {
        let mut template = chain(1);
        template.template.version = format!("1.{polls}.0");
        dropped(polls, store.pin(template, w.now)).await;
        dropped(polls, store.due(Some(w.now))).await;
        dropped(polls, store.lease(lease(worker(7), LeaseAct::Begin, w.now))).await;
        dropped(polls, store.prune(Duration::ZERO, 10, Some(w.now))).await;
        dropped(polls, store.version()).await;
        settled(store).await;
        w.look(0).await;
    }
    let names = store.list_templates().await.unwrap();
    for stored in names {
        let found = store.find_template(&stored.namespace, &stored.name, Some(&stored.version)).await.unwrap();
        assert_eq!(found.unwrap().template.version, stored.version, "what was stored is whole");
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
            dropped(polls, store.workers(Some(w.now))).await;
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
