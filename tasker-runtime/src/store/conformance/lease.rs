//! A worker's lease: its right to claim steps, and to keep what it has claimed.

use std::time::Duration;

use tasker_types::{StepState, Timestamp, WorkerId};

use super::World;
use super::sample::{self, chain, complete, roots, step_of, task, worker};
use crate::core::{Batch, Capacity};
use crate::store::{ClaimRequest, LeaseAct, LeaseRequest, Leased, Store, Whose};

const LEASE: Duration = Duration::from_secs(10);
const HELD: Leased = Leased { held: true, is_oldest: true };
const YOUNGER: Leased = Leased { held: true, is_oldest: false };

async fn lease(store: &dyn Store, worker: WorkerId, act: LeaseAct, now: Timestamp) -> Leased {
    store.lease(LeaseRequest { lease: LEASE, ..sample::lease(worker, act, now) }).await.unwrap()
}

async fn begin(w: &World<'_, dyn Store + '_>, worker: WorkerId) -> Leased {
    lease(w.store, worker, LeaseAct::Begin, w.now).await
}

async fn renew(w: &World<'_, dyn Store + '_>, worker: WorkerId) -> Leased {
    lease(w.store, worker, LeaseAct::Renew, w.now).await
}

/// How many steps the worker gets, whose lease is not touched.
async fn claims(w: &World<'_, dyn Store + '_>, worker: WorkerId, limit: u32) -> usize {
    w.store.claim(ClaimRequest { limit, ..w.request(worker) }).await.unwrap().claimed.len()
}

pub async fn a_lease_is_held_until_it_ends(store: &dyn Store) {
    let mut w = World::new(store);
    assert_eq!(renew(&w, worker(1)).await, Leased::default(), "it has none yet");
    assert_eq!(begin(&w, worker(1)).await, HELD);
    w.pass(9_999);
    assert!(store.workers(Some(w.now)).await.unwrap()[0].is_live);
    w.pass(1);
    assert!(!store.workers(Some(w.now)).await.unwrap()[0].is_live);
}

pub async fn a_lease_that_is_renewed_lasts_longer(store: &dyn Store) {
    let mut w = World::new(store);
    begin(&w, worker(1)).await;
    for _ in 0..5 {
        w.pass(9_999);
        assert_eq!(renew(&w, worker(1)).await, HELD);
    }
    w.pass(5_000);
    assert_eq!(begin(&w, worker(1)).await, HELD, "an answer that was lost is asked for again");
    w.pass(9_999);
    assert_eq!(renew(&w, worker(1)).await, HELD);
}

pub async fn a_lease_that_has_ended_never_comes_back(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(1)).await;
    begin(&w, worker(1)).await;
    w.pass(10_000);
    assert_eq!(renew(&w, worker(1)).await, Leased::default());
    assert_eq!(begin(&w, worker(1)).await, Leased::default());
    assert_eq!(claims(&w, worker(1), 10).await, 0);
}

pub async fn a_lease_that_is_given_up_ends_at_once(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(2)).await;
    begin(&w, worker(1)).await;
    assert_eq!(claims(&w, worker(1), 1).await, 1);
    w.pass(1);
    assert_eq!(lease(store, worker(1), LeaseAct::End, w.now).await, Leased::default());
    assert_eq!(claims(&w, worker(1), 1).await, 0);
    assert_eq!(renew(&w, worker(1)).await, Leased::default());
    let told = &store.workers(Some(w.now)).await.unwrap()[0];
    assert_eq!((told.is_live, told.expires_at), (false, w.now));
    w.pass(1);
    lease(store, worker(1), LeaseAct::End, w.now).await;
    assert_eq!(store.workers(Some(w.now)).await.unwrap()[0].expires_at, sample::at(1), "it ended then");
}

pub async fn only_a_worker_with_a_lease_claims(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(5)).await;
    assert_eq!(claims(&w, worker(1), 1).await, 0);
    begin(&w, worker(1)).await;
    assert_eq!(claims(&w, worker(2), 1).await, 0);
    assert_eq!(claims(&w, worker(1), 1).await, 1);
    w.pass(9_999);
    assert_eq!(claims(&w, worker(1), 1).await, 1);
    w.pass(1);
    assert_eq!(claims(&w, worker(1), 1).await, 0);
    w.look(1).await;
}

pub async fn only_a_worker_with_a_lease_continues(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(4)).await;
    begin(&w, worker(1)).await;
    let mut claimed = store.claim(w.request(worker(1))).await.unwrap().claimed;
    for (pass, continues) in [(9_999, true), (1, false)] {
        w.pass(pass);
        let capacity = Capacity { worker: worker(1), free: 9, queues: w.queues.clone(), continued: 0 };
        let commands = [complete(&claimed[0])].into();
        let batch = Batch { commands, capacity: Some(capacity), now: Some(w.now) };
        let committed = store.transact(batch).await.unwrap();
        assert_eq!((committed.claimed.len(), committed.ready), if continues { (1, 0) } else { (0, 1) });
        claimed = committed.claimed;
    }
    w.look(9).await;
    let states = [StepState::Completed, StepState::Completed, StepState::Ready, StepState::Pending];
    assert_eq!(w.states(id), states, "what has come out is recorded all the same");
}

pub async fn the_holder_of_a_claim_can_end_it_after_its_lease(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, roots(1)).await;
    begin(&w, worker(1)).await;
    let claimed = store.claim(w.request(worker(1))).await.unwrap().claimed;
    w.pass(60_000);
    w.one(complete(&claimed[0])).await.unwrap();
    assert_eq!(w.states(id), [StepState::Completed]);
}

pub async fn the_oldest_worker_with_a_lease_is_told(store: &dyn Store) {
    let mut w = World::new(store);
    assert_eq!(begin(&w, worker(2)).await, HELD);
    assert_eq!(begin(&w, worker(3)).await, YOUNGER);
    assert_eq!(begin(&w, worker(1)).await, HELD);
    assert_eq!(renew(&w, worker(2)).await, YOUNGER);
    w.pass(5_000);
    assert_eq!(renew(&w, worker(3)).await, YOUNGER);
    w.pass(5_000);
    assert_eq!(renew(&w, worker(3)).await, HELD, "the others did not renew theirs");
}

pub async fn claims_of_workers_without_a_lease_are_told(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(4)).await;
    begin(&w, worker(1)).await;
    begin(&w, worker(2)).await;
    assert_eq!((claims(&w, worker(1), 2).await, claims(&w, worker(2), 1).await), (2, 1));
    let held = |number, by| (step_of(task(1), number), 1, worker(by));
    let expired = async |now| store.claims(Whose::Expired(Some(now)), 100).await.unwrap();
    assert_eq!(expired(w.now).await, []);
    w.pass(5_000);
    renew(&w, worker(2)).await;
    w.pass(5_000);
    assert_eq!(expired(w.now).await, [held(0, 1), held(1, 1)]);
    lease(store, worker(2), LeaseAct::End, w.now).await;
    assert_eq!(expired(w.now).await, [held(0, 1), held(1, 1), held(2, 2)]);
}

pub async fn claims_of_one_worker_are_told(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(4)).await;
    w.claim(worker(1), 2).await;
    w.claim(worker(2), 1).await;
    let held = |number, by| (step_of(task(1), number), 1, worker(by));
    let of = async |by| store.claims(Whose::Worker(worker(by)), 100).await.unwrap();
    assert_eq!(of(1).await, [held(0, 1), held(1, 1)]);
    assert_eq!(of(2).await, [held(2, 2)]);
    assert_eq!(of(3).await, []);
}

pub async fn claims_that_are_told_are_bounded(store: &dyn Store) {
    let mut w = World::new(store);
    w.start(1, roots(9)).await;
    w.claim(worker(1), 9).await;
    lease(store, worker(1), LeaseAct::End, w.now).await;
    for whose in [Whose::Worker(worker(1)), Whose::Expired(Some(w.now))] {
        assert_eq!(store.claims(whose, 4).await.unwrap().len(), 4);
        assert_eq!(store.claims(whose, 0).await.unwrap(), []);
    }
}

pub async fn workers_are_told_with_their_queues(store: &dyn Store) {
    let mut w = World::new(store);
    w.pin(roots(2)).await;
    begin(&w, worker(2)).await;
    w.pass(1_000);
    begin(&w, worker(1)).await;
    let with_queues = LeaseRequest { queues: w.queues.clone(), ..sample::lease(worker(2), LeaseAct::Renew, w.now) };
    store.lease(with_queues).await.unwrap();
    let told = store.workers(Some(w.now)).await.unwrap();
    assert_eq!(told.iter().map(|told| told.id).collect::<Vec<_>>(), [worker(1), worker(2)]);
    assert_eq!((&*told[0].label, told[0].started_at, told[0].expires_at), ("test", w.now, w.now + LEASE));
    assert_eq!((told[1].started_at, told[1].renewed_at), (sample::at(0), w.now));
    assert_eq!((&*told[0].queues, &*told[1].queues), (&[][..], &*w.queues));
}

pub async fn workers_are_forgotten_a_day_after_their_lease(store: &dyn Store) {
    let mut w = World::new(store);
    begin(&w, worker(1)).await;
    begin(&w, worker(2)).await;
    w.pass(5_000);
    renew(&w, worker(2)).await;
    w.pass(24 * 3_600_000 + 5_000);
    begin(&w, worker(3)).await;
    let told = store.workers(Some(w.now)).await.unwrap();
    assert_eq!(told.iter().map(|told| told.id).collect::<Vec<_>>(), [worker(2), worker(3)]);
}
