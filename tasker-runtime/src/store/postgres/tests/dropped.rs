//! Who asks may go away while the server is at it: what was begun is done to its end, and no connection is left in the
//! middle of a transaction.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use tasker_types::StepState;
use uuid::Uuid;

use super::server::{is_there, open};
use crate::core::{Batch, Capacity, Claimed};
use crate::store::conformance::World;
use crate::store::conformance::event::publishing;
use crate::store::conformance::sample::{chain, complete, fan, lease, submit, task, worker};
use crate::store::postgres::PostgresStore;
use crate::store::{DeliveryReport, DeliveryRequest, LeaseAct, Store as _, Subscription};

const ROUNDS: u32 = 30;
/// A little longer than most of these calls take.
const LONGEST_MICROS: u64 = 3_000;
const DEADLINE: Duration = Duration::from_secs(60);

/// Drops calls after times that nobody foresees, but that a seed brings back.
struct Dropper {
    seed: u64,
    /// Calls that came to their end before.
    ended: u32,
    /// Calls that were dropped, and took effect.
    happened: u32,
    /// Calls that were dropped, and did not.
    did_not: u32,
}

impl Dropper {
    fn new() -> Self {
        let (seed, _) = Uuid::new_v4().as_u64_pair();
        println!("the seed is {seed}");
        Self { seed, ended: 0, happened: 0, did_not: 0 }
    }

    /// Tells whether the call had come to its end.
    async fn drop<T>(&mut self, call: impl Future<Output = T>) -> bool {
        // The numbers of Knuth's MMIX: the upper bits are as good as random.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let after = Duration::from_micros((self.seed >> 33) % LONGEST_MICROS);
        // Finer than the runtime's own clock.
        let is_over = tokio::task::spawn_blocking(move || std::thread::sleep(after));
        tokio::select! {
            biased;
            _ = call => true,
            _ = is_over => false,
        }
    }

    fn count(&mut self, ended: bool, happened: bool, what: &str) {
        assert!(happened || !ended, "{what} came to its end, and nothing came of it");
        *match (ended, happened) {
            (true, _) => &mut self.ended,
            (false, true) => &mut self.happened,
            (false, false) => &mut self.did_not,
        } += 1;
    }
}

/// Waits until everything is done that was begun; then no session is within a transaction.
async fn settled(store: &PostgresStore, beside: &mut PgConnection) {
    tokio::time::timeout(DEADLINE, store.settled()).await.expect("it settles").unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'";
    assert_eq!(sqlx::query_scalar::<_, i64>(open).fetch_one(beside).await.unwrap(), 0, "a transaction was left open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_write_that_is_dropped_while_it_is_under_way_happened_or_did_not() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let (mut beside, mut drops) = (database.connect().await, Dropper::new());
    let mut w = World::new(&store);
    let pinned = w.pin(publishing(fan(3))).await;
    w.enroll(worker(1)).await;
    for round in 1..=ROUNDS {
        let ids = [task(round), task(1_000 + round)];
        let commands = ids.iter().map(|&id| submit(id, &pinned)).collect();
        let ended = drops.drop(store.transact(Batch { commands, capacity: None, now: Some(w.now) })).await;
        settled(&store, &mut beside).await;
        w.look(1).await;
        let there = ids.map(|id| w.rows.tasks.iter().any(|row| row.id == id));
        assert_eq!(there[0], there[1], "both or none");
        drops.count(ended, there[0], "a submit");
        if !there[0] {
            w.transact(ids.iter().map(|&id| submit(id, &pinned)).collect()).await;
        }

        let ended = drops.drop(store.claim(w.request(worker(1)))).await;
        settled(&store, &mut beside).await;
        w.look(1).await;
        let taken = ids.map(|id| w.live(id, 0).unwrap().state == StepState::Running);
        assert_eq!(taken[0], taken[1], "both or none");
        drops.count(ended, taken[0], "a claim");

        // What nobody knows of is found by whoever starts: here, the claim is simply read.
        store.claim(w.request(worker(1))).await.unwrap();
        w.look(1).await;
        let ends = ids.map(|id| {
            let live = w.live(id, 0).unwrap().clone();
            complete(&Claimed { task: id, live, pinned: pinned.clone() })
        });
        let capacity = Some(Capacity { worker: worker(1), free: 6, queues: w.queues.clone(), continued: 0 });
        let ended = drops.drop(store.transact(Batch { commands: ends.into(), capacity, now: Some(w.now) })).await;
        settled(&store, &mut beside).await;
        w.look(2).await;
        let done = ids.map(|id| w.states(id)[0] == StepState::Completed);
        assert_eq!(done[0], done[1], "both or none");
        let running = w.rows.live.iter().filter(|row| ids.contains(&row.task) && row.state == StepState::Running);
        assert_eq!(running.count(), if done[0] { 6 } else { 2 }, "with its continuations or not at all");
        drops.count(ended, done[0], "an outcome");

        w.pass(1_000);
    }
    // As many at once as there are connections that write, and more.
    let again: Vec<_> = (0..6).map(|number| vec![submit(task(2_000 + number), &pinned)]).collect();
    let batches =
        again.into_iter().map(|commands| Batch { commands: commands.into(), capacity: None, now: Some(w.now) });
    let store = Arc::new(store);
    let all: Vec<_> = batches
        .map(|batch| {
            tokio::spawn({
                let store = store.clone();
                async move { store.transact(batch).await }
            })
        })
        .collect();
    for written in all {
        assert!(written.await.unwrap().unwrap().replies[0].is_ok());
    }
    let Dropper { ended, happened, did_not, .. } = drops;
    println!("{ended} came to their end; of those that were dropped, {happened} happened and {did_not} did not");
    assert!(happened > 0, "none was under way when it was dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn upkeep_that_is_dropped_while_it_is_under_way_happened_or_did_not() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let (mut beside, mut drops) = (database.connect().await, Dropper::new());
    let mut w = World::new(&store);
    let pinned = w.pin(publishing(chain(1))).await;
    w.enroll(worker(1)).await;
    for round in 1..=ROUNDS {
        let mut template = chain(2);
        template.template.version = format!("2.{round}.0");
        let ended = drops.drop(store.pin(template.clone(), w.now)).await;
        settled(&store, &mut beside).await;
        let found = store.find_template("default", "chain", Some(&template.template.version)).await.unwrap();
        drops.count(ended, found.is_some(), "a template");

        let other = worker(100 + round);
        for act in [LeaseAct::Begin, LeaseAct::Renew, LeaseAct::End] {
            let ended = drops.drop(store.lease(lease(other, act, w.now))).await;
            settled(&store, &mut beside).await;
            let workers = store.workers(Some(w.now)).await.unwrap();
            let view = workers.iter().find(|view| view.id == other);
            let written = view.is_some_and(|view| match act {
                LeaseAct::Begin | LeaseAct::Renew => view.is_live && view.renewed_at == w.now,
                LeaseAct::End => !view.is_live,
            });
            drops.count(ended, written, "a lease");
            if act != LeaseAct::End {
                assert!(store.lease(lease(other, act, w.now)).await.unwrap().held);
            }
            w.pass(1_000);
        }

        let name = format!("subscriber {round}");
        let new = Subscription { name: (&*name).into(), patterns: vec!["step.*".to_owned()], from_oldest: false };
        let view = async || store.subscribers().await.unwrap().into_iter().find(|view| view.name == name);
        let ended = drops.drop(store.subscribe(new.clone(), Some(w.now))).await;
        settled(&store, &mut beside).await;
        drops.count(ended, view().await.is_some(), "a subscription");
        let subscriber = store.subscribe(new, Some(w.now)).await.unwrap();
        w.one(submit(task(round), &pinned)).await.unwrap();
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
        let request =
            DeliveryRequest { subscriber, worker: worker(1), tasks: 10, events: 10, behind: None, now: Some(w.now) };
        let ended = drops.drop(store.deliveries(request)).await;
        settled(&store, &mut beside).await;
        drops.count(ended, view().await.unwrap().held_by.is_some(), "a request for events");
        let due = store.deliveries(request).await.unwrap();
        let delivered: Vec<i64> = due.events.iter().map(|event| event.position).collect();
        assert_eq!(delivered.len(), 1);
        let report = DeliveryReport { delivered, ..DeliveryReport::default() };
        let ended = drops.drop(store.delivered(subscriber, report.clone())).await;
        settled(&store, &mut beside).await;
        drops.count(ended, view().await.unwrap().undelivered == 0, "a delivery");
        let ended = drops.drop(store.unsubscribe(&name)).await;
        settled(&store, &mut beside).await;
        drops.count(ended, view().await.is_none(), "the end of a subscription");
        store.unsubscribe(&name).await.unwrap();

        w.pass(1_000);
        let ended = drops.drop(store.prune(Duration::ZERO, 10, Some(w.now))).await;
        settled(&store, &mut beside).await;
        w.look(0).await;
        drops.count(ended, w.rows.tasks.is_empty(), "a prune");
        store.prune(Duration::ZERO, 10, Some(w.now)).await.unwrap();
    }
    let Dropper { ended, happened, did_not, .. } = drops;
    println!("{ended} came to their end; of those that were dropped, {happened} happened and {did_not} did not");
    assert!(happened > 0, "none was under way when it was dropped");
}

/// Each of those who wait asks every connection, and some go away before they were told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_wait_until_the_store_has_settled() {
    if !is_there() {
        return;
    }
    let (store, _database) = open().await;
    let store = Arc::new(store);
    for _ in 0..5 {
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.settled().await })
            })
            .collect();
        for call in &waiting[..50] {
            tokio::task::yield_now().await;
            call.abort();
        }
        for call in waiting {
            let outcome = tokio::time::timeout(DEADLINE, call).await.expect("the connections wait for one another");
            assert!(outcome.map_or_else(|error| error.is_cancelled(), |settled| settled.is_ok()));
        }
    }
    assert_eq!(store.counts().await.unwrap().open_tasks, 0);
}
