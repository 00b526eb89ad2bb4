//! Ready steps go to a worker in their order.

use tasker_types::{StepNumber, TaskId, TaskState};

use super::World;
use super::sample::{chain, complete, lose, release, roots, submit, submit_with_priority, task, worker};
use crate::core::Claimed;
use crate::store::{ClaimRequest, Store};

fn tasks(claims: &[Claimed]) -> Vec<TaskId> {
    claims.iter().map(|claim| claim.task).collect()
}

fn numbers(claims: &[Claimed]) -> Vec<u32> {
    claims.iter().map(|claim| claim.live.number.0).collect()
}

pub async fn nothing_is_claimed_without_slots_or_queues(store: &dyn Store) {
    let mut w = World::new(store);
    assert!(w.claim(worker(1), 100).await.is_empty(), "there is nothing");
    w.start(1, roots(1)).await;
    assert!(w.claim(worker(1), 0).await.is_empty());
    let request = ClaimRequest { queues: [].into(), ..w.request(worker(1)) };
    assert!(w.claim_as(request).await.is_empty());
    assert_eq!(w.task_state(task(1)), TaskState::Pending);
}

pub async fn ready_steps_are_claimed_by_priority_and_then_by_time(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(roots(1)).await;
    for (number, priority) in [(5, 0), (4, 10), (3, -10), (2, 10), (1, 0)] {
        w.one(submit_with_priority(task(number), &pinned, priority)).await.unwrap();
        w.pass(10);
    }
    let claims = w.claim(worker(1), 100).await;
    assert_eq!(tasks(&claims), [4, 2, 5, 1, 3].map(task));
}

pub async fn steps_of_one_moment_are_claimed_in_the_order_of_their_tasks(store: &dyn Store) {
    let mut w = World::new(store);
    let mut template = roots(2);
    template.steps[1].handler = template.steps[0].handler.clone();
    let pinned = w.pin(template).await;
    for number in [2, 3, 1] {
        w.one(submit(task(number), &pinned)).await.unwrap();
    }
    let claims = w.claim(worker(1), 100).await;
    assert_eq!(tasks(&claims), [1, 1, 2, 2, 3, 3].map(task));
    assert_eq!(numbers(&claims), [0, 1, 0, 1, 0, 1]);
}

pub async fn among_equals_each_queue_comes_first_in_turn(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(3)).await;
    for (rotation, order) in [(0, [0, 1, 2]), (1, [1, 2, 0]), (2, [2, 0, 1]), (3, [0, 1, 2]), (7, [1, 2, 0])] {
        let claims = w.claim_as(ClaimRequest { rotation, ..w.request(worker(1)) }).await;
        assert_eq!(numbers(&claims), order, "rotation {rotation}");
        w.transact(claims.iter().map(release).collect()).await;
    }
}

pub async fn more_queues_than_one_statement_holds_are_looked_into(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, roots(150)).await;
    let claims = w.claim_as(ClaimRequest { rotation: 149, limit: 149, ..w.request(worker(1)) }).await;
    let order: Vec<u32> = std::iter::once(149).chain(0..148).collect();
    assert_eq!(numbers(&claims), order);
    let last = w.claim_one(worker(1)).await;
    assert_eq!((last.task, last.live.number), (id, StepNumber(148)));
}

pub async fn a_claim_takes_at_most_its_limit(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(7)).await;
    for (limit, got) in [(1, 1), (2, 2), (3, 3), (100, 1), (100, 0)] {
        assert_eq!(w.claim(worker(1), limit).await.len(), got);
    }
}

pub async fn a_claim_looks_only_into_its_queues(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, roots(3)).await;
    let pinned = w.task(id).pinned.clone();
    let request = ClaimRequest { queues: [pinned.steps[1].queue].into(), ..w.request(worker(1)) };
    assert_eq!(numbers(&w.claim_as(request.clone()).await), [1]);
    assert!(w.claim_as(request).await.is_empty());
    assert_eq!(numbers(&w.claim(worker(1), 100).await), [0, 2]);
}

pub async fn a_step_is_claimed_only_from_its_time_on(store: &dyn Store) {
    let mut w = World::new(store);
    let earlier = w.now;
    w.pass(10);
    w.start(1, roots(1)).await;
    let request = ClaimRequest { now: Some(earlier), ..w.request(worker(1)) };
    assert!(w.claim_as(request).await.is_empty());
    assert_eq!(w.claim(worker(1), 100).await.len(), 1);
}

pub async fn a_step_is_claimed_once(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(20)).await;
    let (first, second) = (w.claim(worker(1), 12).await, w.claim(worker(2), 12).await);
    assert_eq!((first.len(), second.len()), (12, 8));
    let mut all = numbers(&first);
    all.extend(numbers(&second));
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}

pub async fn the_first_claim_starts_the_task(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, roots(2)).await;
    w.pass(10);
    let started = w.now;
    w.claim(worker(1), 1).await;
    assert_eq!((w.task_state(id), w.task(id).started_at), (TaskState::Running, Some(started)));
    w.pass(10);
    w.claim(worker(1), 1).await;
    assert_eq!(w.task(id).started_at, Some(started));
}

pub async fn the_attempt_grows_with_each_claim(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    for attempt in 1..=4 {
        w.pass(10);
        let claim = w.claim_one(worker(attempt)).await;
        assert_eq!((claim.live.attempt, claim.live.claimed_at), (attempt, Some(w.now)));
        assert_eq!(w.live(id, 0), Some(&claim.live));
        w.one(release(&claim)).await.unwrap();
    }
}

pub async fn steps_with_losses_are_claimed_one_at_a_time(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(5)).await;
    let claims = w.claim(worker(1), 3).await;
    w.transact(claims.iter().map(lose).collect()).await;
    let claims = w.claim(worker(2), 100).await;
    assert_eq!(claims.iter().map(|claim| claim.live.losses).collect::<Vec<_>>(), [0, 0, 1]);
    let next = w.claim(worker(3), 0).await;
    assert_eq!(next.iter().map(|claim| claim.live.losses).collect::<Vec<_>>(), [1], "it has a slot of its own");
    w.transact(claims.iter().chain(&next).map(complete).collect()).await;
    let last = w.claim_one(worker(2)).await;
    assert_eq!(last.live.losses, 1);
}

pub async fn a_step_with_losses_is_not_claimed_unasked(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 1).await;
    w.one(lose(&claims[0])).await.unwrap();
    let request = ClaimRequest { lossy: false, ..w.request(worker(2)) };
    let claims = w.claim_as(request.clone()).await;
    assert_eq!((claims.len(), claims[0].live.losses), (1, 0));
    assert!(w.claim_as(request).await.is_empty());
}
