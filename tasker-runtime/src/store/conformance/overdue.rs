//! Claims that are held for longer than the request of their task allows.

use std::time::Duration;

use super::World;
use super::sample::{chain, complete, lose_overdue, roots, step_of, submit, task, with_claim_timeout, worker};
use crate::store::Store;

pub async fn claims_that_are_held_for_too_long_are_told(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(roots(2)).await;
    let asked = vec![with_claim_timeout(500, task(1), &pinned), with_claim_timeout(900, task(2), &pinned)];
    w.transact(asked).await;
    w.one(submit(task(3), &pinned)).await.unwrap();
    let overdue = async |now, of| store.overdue(of, Some(now), 100).await.unwrap();
    w.pass(5_000);
    assert_eq!(overdue(w.now, None).await, [], "nobody claimed them yet");
    let claims = w.claim(worker(1), 6).await;
    let held = |number, step| (step_of(task(number), step), 1, worker(1));
    w.pass(499);
    assert_eq!(overdue(w.now, None).await, []);
    w.pass(1);
    assert_eq!(overdue(w.now, None).await, [held(1, 0), held(1, 1)]);
    assert_eq!(overdue(w.now, Some(vec![task(3), task(2)])).await, []);
    w.pass(400);
    assert_eq!(overdue(w.now, None).await, [held(1, 0), held(1, 1), held(2, 0), held(2, 1)]);
    assert_eq!(overdue(w.now, Some(vec![task(2), task(3), task(9)])).await, [held(2, 0), held(2, 1)]);
    for of in [None, Some(vec![task(2), task(1)])] {
        assert_eq!(store.overdue(of.clone(), Some(w.now), 3).await.unwrap().len(), 3);
        assert_eq!(store.overdue(of, Some(w.now), 0).await.unwrap(), []);
    }
    w.transact(claims.iter().filter(|claim| claim.task != task(3)).map(complete).collect()).await;
    assert_eq!(overdue(w.now, None).await, [], "what is over is held by nobody");
}

pub async fn each_claim_of_a_step_has_the_whole_time(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    w.one(with_claim_timeout(500, task(1), &pinned)).await.unwrap();
    for attempt in 1..=2 {
        let claim = w.claim_one(worker(attempt)).await;
        w.pass(499);
        assert_eq!(store.overdue(None, Some(w.now), 9).await.unwrap(), []);
        w.pass(1);
        assert_eq!(
            store.overdue(None, Some(w.now), 9).await.unwrap(),
            [(step_of(task(1), 0), attempt, worker(attempt))]
        );
        w.one(lose_overdue(&claim)).await.unwrap();
    }
}

pub async fn a_claim_timeout_goes_with_its_task(store: &dyn Store) {
    for timeout in [500, 900] {
        let mut w = World::new(store);
        let pinned = w.pin(chain(1)).await;
        w.one(with_claim_timeout(timeout, task(1), &pinned)).await.unwrap();
        let view = store.find_task(task(1)).await.unwrap().unwrap();
        assert_eq!(view.input.claim_timeout, Some(Duration::from_millis(timeout)));
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
        w.pass(10);
        assert_eq!(store.prune(Duration::ZERO, 1, Some(w.now)).await.unwrap(), 1);
        assert_eq!(store.find_task(task(1)).await.unwrap(), None);
        let mut w = World::new(store);
        let pinned = w.pin(chain(1)).await;
        w.one(submit(task(1), &pinned)).await.unwrap();
        assert_eq!(store.find_task(task(1)).await.unwrap().unwrap().input.claim_timeout, None);
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
        w.pass(10);
        assert_eq!(store.prune(Duration::ZERO, 1, Some(w.now)).await.unwrap(), 1);
    }
}
