//! What one process writes is said to the others; whoever hears nothing finds it by looking.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;

use super::server::{is_there, open, run};
use crate::core::Batch;
use crate::store::conformance::World;
use crate::store::conformance::event::publishing;
use crate::store::conformance::sample::{cancel, chain, complete, roots, submit, task, worker};
use crate::store::postgres::{Durability, PostgresStore};
use crate::store::{Hints, Store as _};

const MANY: u32 = 300;
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until it was heard.
async fn heard(hints: &mut watch::Receiver<Hints>, wanted: impl Fn(&Hints) -> bool) -> Hints {
    *tokio::time::timeout(DEADLINE, hints.wait_for(wanted)).await.expect("it is heard in time").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_one_process_writes_is_heard_by_the_others() {
    if !is_there() {
        return;
    }
    let (one, database) = open().await;
    let two = PostgresStore::open(&database.url(), Durability::Relaxed).await.unwrap();
    let mut w = World::new(&one);
    let pinned = w.pin(roots(1)).await;
    let mut hints = two.hints().unwrap();
    // Whatever was said before, it may have been missed.
    let first = heard(&mut hints, |hints| hints.ready > 0 && hints.other > 0).await;
    w.one(submit(task(1), &pinned)).await.unwrap();
    let ready = heard(&mut hints, |hints| hints.ready > first.ready).await;
    w.one(cancel(task(1), 1)).await.unwrap();
    let other = heard(&mut hints, |hints| hints.other > ready.other).await;
    assert_eq!(other.events, first.events, "none was stored");
    w.start(2, publishing(roots(1))).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    heard(&mut hints, |hints| hints.events > first.events).await;
    w.pin(chain(2)).await;
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nobody_hears_himself() {
    if !is_there() {
        return;
    }
    let (one, database) = open().await;
    let two = PostgresStore::open(&database.url(), Durability::Relaxed).await.unwrap();
    let (mut own, mut others) = (one.hints().unwrap(), two.hints().unwrap());
    let first = heard(&mut own, |hints| hints.ready > 0).await;
    let before = heard(&mut others, |hints| hints.ready > 0).await;
    let mut w = World::new(&one);
    w.start(1, roots(1)).await;
    heard(&mut others, |hints| hints.ready > before.ready).await;
    // What the other one says after it is heard after it.
    let mut w = World::new(&two);
    let pinned = w.pin(roots(1)).await;
    let commands = [submit(task(2), &pinned)].into();
    two.transact(Batch { commands, capacity: None, now: Some(w.now) }).await.unwrap();
    let heard = heard(&mut own, |hints| hints.ready > first.ready).await;
    assert_eq!(heard.ready, first.ready + 1, "its own word was not heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lost_connection_is_made_anew_and_told_as_a_hint() {
    if !is_there() {
        return;
    }
    let (one, database) = open().await;
    let mut hints = one.hints().unwrap();
    let first = heard(&mut hints, |hints| hints.other > 0).await;
    let mut connection = database.connect().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    run(&mut connection, cut).await;
    heard(&mut hints, |hints| hints.ready > first.ready && hints.other > first.other).await;
    let two = PostgresStore::open(&database.url(), Durability::Relaxed).await.unwrap();
    let before = *hints.borrow_and_update();
    World::new(&two).start(1, roots(1)).await;
    heard(&mut hints, |hints| hints.ready > before.ready).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn many_words_at_once_are_said_once() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.url()).await.unwrap();
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("tasker").await.unwrap();
    let mut w = World::new(&store);
    let pinned = w.pin(chain(1)).await;
    let began = tokio::time::Instant::now();
    for number in 0..MANY {
        let commands = [submit(task(number), &pinned)].into();
        store.transact(Batch { commands, capacity: None, now: Some(w.now) }).await.unwrap();
    }
    store.close().await.unwrap();
    let took = began.elapsed();
    let mut said = 0;
    while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(200), listener.recv()).await {
        said += 1;
    }
    let most = took.as_millis() / 10 + 2;
    assert!((1..=most).contains(&said), "{said} in {took:?}");
}
