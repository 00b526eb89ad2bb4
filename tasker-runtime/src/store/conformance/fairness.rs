//! A long queue does not starve a short one, and what is more urgent comes first.

use super::World;
use super::sample::{chain, complete, roots, submit, submit_with_priority, task, worker};
use crate::core::Command;
use crate::store::{ClaimRequest, Store};

/// More than two claims take.
const LONG: u32 = 300;

/// A queue of this length in one namespace, then one step in another, which comes last by time.
async fn a_long_queue_and_one_step(w: &mut World<'_, dyn Store>) {
    let pinned = w.pin(roots(1)).await;
    w.transact((1..=LONG).map(|number| submit(task(number), &pinned)).collect()).await;
    w.pass(1_000);
    let mut other = roots(1);
    other.template.namespace = "other".to_owned();
    w.start(LONG + 1, other).await;
}

pub async fn a_step_of_another_namespace_is_in_the_next_claim_behind_a_long_queue(store: &dyn Store) {
    let mut w = World::new(store);
    a_long_queue_and_one_step(&mut w).await;
    let claims = w.claim(worker(1), 100).await;
    assert_eq!(claims.len(), 100);
    assert!(claims[..2].iter().any(|claim| claim.task == task(LONG + 1)), "it is one of the first two");
}

pub async fn the_only_free_slot_goes_to_each_queue_in_turn(store: &dyn Store) {
    let mut w = World::new(store);
    a_long_queue_and_one_step(&mut w).await;
    let mut claimed = Vec::new();
    for rotation in 0..2 {
        let request = ClaimRequest { rotation, limit: 1, ..w.request(worker(1)) };
        claimed.extend(w.claim_as(request).await.iter().map(|claim| claim.task));
    }
    assert_eq!(claimed.len(), 2);
    assert!(claimed.contains(&task(LONG + 1)), "{claimed:?}");
}

pub async fn a_high_priority_overtakes_chains_in_progress(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(4)).await;
    w.transact((1..=10).map(|number| submit(task(number), &pinned)).collect()).await;
    let running = w.claim(worker(1), 10).await;
    w.pass(10);
    w.one(submit_with_priority(task(11), &pinned, 50)).await.unwrap();
    let ends: Vec<Command> = running.iter().map(complete).collect();
    let committed = w.transact_with(worker(1), 10, ends).await;
    assert_eq!((committed.claimed.len(), committed.ready), (0, 10), "no chain goes on before it");
    let claims = w.claim(worker(1), 3).await;
    let order: Vec<_> = claims.iter().map(|claim| claim.task).collect();
    assert_eq!((order[0], order.len()), (task(11), 3));
}
