use tasker_types::{StepState, TaskState};

use crate::core::Capacity;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    cancel, chain, complete, fan, lose, queues, release, roots, submit, submit_with_priority, task, template, worker,
};
use crate::store::{ClaimRequest, MemoryStore, Store};

fn capacity<S: Store>(w: &World<'_, S>, free: usize, continued: u64) -> Option<Capacity> {
    Some(Capacity { worker: worker(1), free, queues: w.queues.clone(), continued })
}

#[tokio::test]
async fn a_successor_is_claimed_in_the_transaction_that_made_it_ready() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    w.pass(10);
    let committed = w.transact_with(worker(1), 1, vec![complete(&claim)]).await;
    let [next] = committed.claimed.as_slice() else { panic!("one claim: {committed:?}") };
    assert_eq!((next.live.state, next.live.attempt), (StepState::Running, 1));
    assert_eq!((next.live.claimed_by, next.live.claimed_at), (Some(worker(1)), Some(w.now)));
    assert_eq!(w.live(id, 1), Some(&next.live));
    assert_eq!(committed.ready, 0);
}

#[tokio::test]
async fn a_worker_continues_only_into_free_slots() {
    for free in 0..=4 {
        let store = MemoryStore::new();
        let mut w = World::new(&store);
        w.start(1, fan(3)).await;
        let claim = w.claim_one(worker(1)).await;
        let committed = w.transact_with(worker(1), free, vec![complete(&claim)]).await;
        assert_eq!((committed.claimed.len(), committed.ready), (free.min(3), 3 - free.min(3)));
    }
}

#[tokio::test]
async fn a_process_without_a_worker_continues_nothing() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact(vec![complete(&claim)]).await;
    assert_eq!((committed.claimed.len(), committed.ready), (0, 1));
}

#[tokio::test]
async fn nothing_of_a_cancelled_task_is_continued() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("two", &[&[], &[], &[0], &[1]])).await;
    let claims = w.claim(worker(1), 100).await;
    let batch = vec![complete(&claims[0]), cancel(id, 1), complete(&claims[1])];
    let committed = w.transact_with(worker(1), 10, batch).await;
    assert_eq!(committed.claimed.len(), 0);
    assert_eq!(w.task_state(id), TaskState::Cancelled);
}

#[tokio::test]
async fn a_task_that_is_cancelled_leaves_its_slot_to_another() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(1)).await;
    let batch = vec![submit(task(1), &pinned), cancel(task(1), 1), submit(task(2), &pinned)];
    let committed = w.transact_with(worker(1), 1, batch).await;
    assert_eq!(committed.claimed.iter().map(|claim| claim.task).collect::<Vec<_>>(), [task(2)]);
}

#[tokio::test]
async fn what_has_the_higher_priority_is_continued_first() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(1)).await;
    let batch =
        [(1, 0), (2, 5), (3, -5), (4, 50)].map(|(n, priority)| submit_with_priority(task(n), &pinned, priority));
    let committed = w.transact_with(worker(1), 3, batch.to_vec()).await;
    assert_eq!(committed.claimed.iter().map(|claim| claim.task).collect::<Vec<_>>(), [task(4), task(2), task(1)]);
}

#[tokio::test]
async fn a_slot_goes_to_the_global_claim_when_something_of_higher_priority_waits() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(chain(2)).await;
    w.one(submit(task(1), &pinned)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(submit_with_priority(task(2), &pinned, 1)).await.unwrap();
    let committed = w.transact_with(worker(1), 10, vec![complete(&claim)]).await;
    assert_eq!((committed.claimed.len(), committed.ready), (0, 1));
    let next = w.claim(worker(1), 1).await;
    assert_eq!(next[0].task, task(2));
}

#[tokio::test]
async fn what_waits_with_the_same_priority_does_not_stop_a_continuation() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(chain(2)).await;
    w.one(submit(task(1), &pinned)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(submit(task(2), &pinned)).await.unwrap();
    let committed = w.transact_with(worker(1), 10, vec![complete(&claim)]).await;
    assert_eq!(committed.claimed.len(), 1);
}

#[tokio::test]
async fn every_eighth_slot_is_left_to_the_global_claim_while_others_wait() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(1)).await;
    w.one(submit(task(100), &pinned)).await.unwrap();
    let capacity = capacity(&w, 20, 0);
    let committed = w.batch((1..=30).map(|n| submit(task(n), &pinned)).collect(), capacity).await;
    assert_eq!(committed.claimed.len(), 18, "of 20 slots the 8th and the 16th are left");
    assert_eq!(committed.considered, 20);
}

#[tokio::test]
async fn no_slot_is_left_to_the_global_claim_while_nothing_waits() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(1)).await;
    let capacity = capacity(&w, 20, 0);
    let committed = w.batch((1..=30).map(|n| submit(task(n), &pinned)).collect(), capacity).await;
    assert_eq!((committed.claimed.len(), committed.considered), (20, 20));
}

#[tokio::test]
async fn the_only_free_slot_is_left_when_it_is_the_eighth() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(1)).await;
    w.one(submit(task(100), &pinned)).await.unwrap();
    let eighth = capacity(&w, 1, 7);
    let committed = w.batch((1..=5).map(|n| submit(task(n), &pinned)).collect(), eighth).await;
    assert_eq!((committed.claimed.len(), committed.considered), (0, 1));
}

#[tokio::test]
async fn a_chain_goes_on_after_a_slot_was_left() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(1)).await;
    w.one(submit(task(100), &pinned)).await.unwrap();
    let (mut continued, mut claimed) = (0, Vec::new());
    for number in 1..=24 {
        let capacity = capacity(&w, 1, continued);
        let committed = w.batch(vec![submit(task(number), &pinned)], capacity).await;
        continued += committed.considered;
        claimed.push(committed.claimed.len());
    }
    let left: Vec<usize> = (1..=24).filter(|number| claimed[number - 1] == 0).collect();
    assert_eq!(left, [8, 16, 24]);
}

#[tokio::test]
async fn a_worker_continues_only_steps_whose_handlers_it_has() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fan(3)).await;
    let claim = w.claim_one(worker(1)).await;
    let known = [claim.pinned.steps[2].queue].into();
    let capacity = Capacity { worker: worker(1), free: 10, queues: known, continued: 0 };
    let committed = w.batch(vec![complete(&claim)], Some(capacity)).await;
    assert_eq!(committed.claimed.iter().map(|claim| claim.live.number.0).collect::<Vec<_>>(), [2]);
    assert_eq!(w.states(id)[1..=3], [StepState::Ready, StepState::Running, StepState::Ready]);
}

#[tokio::test]
async fn what_waits_for_handlers_that_the_worker_lacks_does_not_stop_a_continuation() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let mut other = template("other", &[&[]]);
    other.steps[0].handler = "elsewhere".to_owned();
    let other = w.pin(other).await;
    w.one(submit_with_priority(task(9), &other, 100)).await.unwrap();
    let pinned = w.pin(chain(2)).await;
    let own = queues([&pinned]);
    w.one(submit(task(1), &pinned)).await.unwrap();
    let request = ClaimRequest { queues: own.clone(), ..w.request(worker(1)) };
    let claims = w.claim_as(request).await;
    let capacity = Capacity { worker: worker(1), free: 10, queues: own, continued: 7 };
    let committed = w.batch(vec![complete(&claims[0])], Some(capacity)).await;
    assert_eq!(committed.claimed.len(), 1);
}

#[tokio::test]
async fn a_step_with_losses_is_never_continued() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact_with(worker(2), 10, vec![lose(&claim)]).await;
    assert_eq!((committed.claimed.len(), committed.ready), (0, 1));
    assert_eq!(w.live(id, 0).unwrap().losses, 1);
}

#[tokio::test]
async fn a_step_that_was_given_back_may_be_taken_on_by_a_worker_with_free_slots() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact_with(worker(2), 10, vec![release(&claim)]).await;
    assert_eq!(committed.claimed[0].live.attempt, 2);
    assert_eq!(w.rows.attempts.len(), 1);
}

#[tokio::test]
async fn a_fan_in_is_continued_once_by_the_batch_that_completes_it() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, fan(3)).await;
    let claim = w.claim_one(worker(1)).await;
    let claims = w.transact_with(worker(1), 10, vec![complete(&claim)]).await.claimed;
    let committed = w.transact_with(worker(1), 10, claims.iter().map(complete).collect()).await;
    assert_eq!(committed.claimed.iter().map(|claim| claim.live.number.0).collect::<Vec<_>>(), [4]);
}
