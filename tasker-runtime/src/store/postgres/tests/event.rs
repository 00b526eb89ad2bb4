//! Events and subscribers, on a server.

use std::sync::Arc;
use std::time::Duration;

use super::server::{Database, is_there, open, run};
use crate::core::Batch;
use crate::store::conformance::World;
use crate::store::conformance::event::publishing;
use crate::store::conformance::sample::{complete, roots, submit, task, worker};
use crate::store::postgres::PostgresStore;
use crate::store::{Store, StoreError, Subscription};

/// More than two portions.
const DUES: u64 = 25_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_subscriber_that_is_due_much_is_forgotten_with_all_of_it() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let w = World::new(&store);
    let subscription = |name: &str| Subscription { name: name.into(), patterns: vec!["*".into()], from_oldest: false };
    let gone = store.subscribe(subscription("gone"), Some(w.now)).await.unwrap();
    let stays = store.subscribe(subscription("stays"), Some(w.now)).await.unwrap();
    let task = task(1).uuid();
    for (subscriber, count) in [(gone, DUES), (stays, 3)] {
        let fill = format!(
            "INSERT INTO tasker.event_deliveries SELECT {}, n, '{task}', 0, 0, NULL FROM generate_series(1, {count}) AS n",
            subscriber.0
        );
        run(&mut database.connect().await, &fill).await;
    }
    assert_eq!(store.unsubscribe("gone").await.unwrap(), Some(DUES));
    assert_eq!(store.unsubscribe("gone").await.unwrap(), None);
    let left = store.subscribers().await.unwrap();
    assert_eq!(left.iter().map(|view| (&*view.name, view.undelivered)).collect::<Vec<_>>(), [("stays", 3)]);
}

/// Events of two tasks that are over: those of the second one are in the last portion.
async fn stored_before(store: &PostgresStore, database: &Database) {
    let mut w = World::new(store);
    let pinned = w.pin(roots(1)).await;
    w.transact(vec![submit(task(1), &pinned), submit(task(2), &pinned)]).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(complete).collect()).await;
    let [first, second] = [task(1).uuid(), task(2).uuid()];
    let fill = format!(
        "INSERT INTO tasker.domain_events (task, number, attempt, name, at) SELECT \
         CASE WHEN n <= 20000 THEN '{first}'::uuid ELSE '{second}' END, 0, 1, CASE n % 2 WHEN 0 THEN 'even' ELSE 'odd' END, 0 \
         FROM generate_series(1, {DUES}) AS n ORDER BY n"
    );
    run(&mut database.connect().await, &fill).await;
}

/// What is done before a certain event is due to somebody.
async fn before_the_last_portion(database: &Database, what: &str) {
    let connection = &mut database.connect().await;
    run(
        connection,
        &format!("CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NEW; END $$"),
    )
    .await;
    let trigger = "CREATE TRIGGER held BEFORE INSERT ON tasker.event_deliveries FOR EACH ROW WHEN (NEW.position = 20500) \
                   EXECUTE FUNCTION held()";
    run(connection, trigger).await;
}

fn from_oldest() -> Subscription {
    Subscription { name: "new".into(), patterns: vec!["even".into(), "step.*".into()], from_oldest: true }
}

async fn undelivered(store: &PostgresStore) -> u64 {
    store.subscribers().await.unwrap()[0].undelivered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_new_subscriber_was_not_given_when_its_process_died_is_kept_and_given_by_the_next() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    stored_before(&store, &database).await;
    before_the_last_portion(&database, "RAISE 'a fault'").await;
    let mut w = World::new(&store);
    w.pass(1_000_000);
    let failed: Result<_, StoreError> = store.subscribe(from_oldest(), Some(w.now)).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(undelivered(&store).await, 10_000, "two portions are written");
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 0, "it is still to be given the rest");
    run(&mut database.connect().await, "DROP TRIGGER held ON tasker.event_deliveries").await;
    store.subscribe(from_oldest(), Some(w.now)).await.unwrap();
    assert_eq!(undelivered(&store).await, DUES / 2);
    store.subscribe(from_oldest(), Some(w.now)).await.unwrap();
    assert_eq!(undelivered(&store).await, DUES / 2, "once");
    assert_eq!(store.unsubscribe("new").await.unwrap(), Some(DUES / 2));
    assert_eq!(store.prune(Duration::ZERO, 100, Some(w.now)).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nobody_waits_while_a_new_subscriber_is_given_what_was_stored_before() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let store = Arc::new(store);
    stored_before(&store, &database).await;
    let mut w = World::new(&*store);
    let pinned = w.pin(publishing(roots(1))).await;
    w.transact(vec![submit(task(3), &pinned)]).await;
    let claims = w.claim(worker(1), 100).await;
    before_the_last_portion(&database, "PERFORM pg_advisory_xact_lock(1)").await;
    let mut holder = database.connect().await;
    run(&mut holder, "SELECT pg_advisory_lock(1)").await;
    let filling = tokio::spawn({
        let (store, now) = (store.clone(), w.now);
        async move { store.subscribe(from_oldest(), Some(now)).await }
    });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(8);
    while store.subscribers().await.unwrap().first().is_none_or(|view| view.undelivered < 10_000) {
        assert!(tokio::time::Instant::now() < deadline, "it is not filled");
        tokio::task::yield_now().await;
    }
    let batch = Batch { commands: claims.iter().map(complete).collect(), capacity: None, now: Some(w.now) };
    let written = tokio::time::timeout(Duration::from_secs(5), store.transact(batch)).await;
    assert_eq!(written.expect("it does not wait").unwrap().events, 1);
    assert!(!filling.is_finished());
    run(&mut holder, "SELECT pg_advisory_unlock(1)").await;
    filling.await.unwrap().unwrap();
    assert_eq!(undelivered(&store).await, DUES / 2 + 1, "the new one, too, and once");
}
