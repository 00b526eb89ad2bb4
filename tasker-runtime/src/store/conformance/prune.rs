//! Tasks that ended long ago are deleted.

use std::time::Duration;

use super::World;
use super::sample::{cancel, chain, complete, fail, fail_for_good, retry, roots, submit, task, worker};
use crate::core::{Batch, Command, Dump, Refusal};
use crate::store::Store;

pub async fn tasks_that_ended_before_are_deleted_with_all_their_rows(store: &dyn Store) {
    let mut w = World::new(store);
    let old = w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1])]).await;
    w.one(cancel(old, 1)).await.unwrap();
    let ended = w.now;
    w.pass(10);
    let new = w.start(2, roots(1)).await;
    w.one(cancel(new, 2)).await.unwrap();
    assert_eq!(
        store.prune(Duration::ZERO, 100, Some(ended)).await.unwrap(),
        0,
        "it did not end before the moment in which it ended"
    );
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 1);
    w.look(0).await;
    assert_eq!(w.rows.tasks.iter().map(|row| row.id).collect::<Vec<_>>(), [new]);
    let left = [w.rows.live.len(), w.rows.results.len(), w.rows.attempts.len(), w.rows.actions.len()];
    assert_eq!(left, [0, 1, 0, 1]);
    assert_eq!(store.find_task(old).await.unwrap(), None);
    assert_eq!(store.inputs(vec![]).await.unwrap().len(), 0);
}

pub async fn an_open_task_is_never_deleted(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(2)).await;
    w.transact((1..=4).map(|number| submit(task(number), &pinned)).collect()).await;
    let claims = w.claim(worker(1), 3).await;
    w.one(fail(&claims[0])).await.unwrap();
    w.one(cancel(claims[1].task, 1)).await.unwrap();
    let before = w.rows.clone();
    w.pass(1_000_000);
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 0);
    w.look(0).await;
    assert_eq!(w.rows, before, "pending, running, waiting and cancelling tasks stay");
}

pub async fn a_failed_task_that_was_reopened_is_not_deleted(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    w.one(retry(id, 1)).await.unwrap();
    w.pass(1_000);
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 0);
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    w.pass(1_000);
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 1);
    assert_eq!(store.dump(None, 100).await.unwrap(), Dump::default());
}

pub async fn the_number_of_deleted_tasks_is_bounded(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    w.transact((1..=300).map(|number| submit(task(number), &pinned)).collect()).await;
    w.transact((1..=300).map(|number| cancel(task(number), number)).collect()).await;
    w.pass(10);
    for deleted in [0, 7, 280, 13, 0] {
        let limit = if deleted == 13 { 100 } else { deleted };
        assert_eq!(store.prune(Duration::ZERO, limit, Some(w.now)).await.unwrap(), u64::from(deleted));
    }
    assert_eq!(store.dump(None, 100).await.unwrap(), Dump::default());
}

pub async fn a_pruned_task_can_be_submitted_again(store: &dyn Store) {
    for _ in 0..2 {
        let mut w = World::new(store);
        let id = w.start(1, chain(1)).await;
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
        // Whoever asks for it once more is refused, and nobody remembers it for that.
        assert!(w.one(complete(&claim)).await.is_err());
        w.pass(10);
        assert_eq!(store.prune(Duration::ZERO, 1, Some(w.now)).await.unwrap(), 1);
        assert_eq!(w.store.transact(batch(&w, cancel(id, 1))).await.unwrap().replies, [Err(Refusal::NoTask(id))]);
    }
}

fn batch(w: &World<'_, dyn Store + '_>, command: Command) -> Batch {
    Batch { commands: [command].into(), capacity: None, now: Some(w.now) }
}
