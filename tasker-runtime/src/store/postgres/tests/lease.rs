//! Leases go on where the threads that ask for them do not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::server::{is_there, open, run};
use crate::store::conformance::sample::{at, lease, worker};
use crate::store::postgres::{Durability, PostgresStore};
use crate::store::{LeaseAct, LeaseRequest, Store as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lease_is_had_when_the_thread_that_had_the_last_one_is_gone() {
    if !is_there() {
        return;
    }
    let (store, _database) = open().await;
    let store = Arc::new(store);
    // As a worker does whose lease has ended: its heartbeat ends, and the next incarnation has one of its own.
    for incarnation in 1..=3 {
        let store = store.clone();
        let heartbeat = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let request = LeaseRequest { now: None, ..lease(worker(incarnation), LeaseAct::Begin, at(0)) };
            runtime.block_on(store.lease(request))
        };
        let leased = tokio::task::spawn_blocking(|| std::thread::spawn(heartbeat).join().unwrap()).await.unwrap();
        assert!(leased.unwrap().held, "incarnation {incarnation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lease_whose_renewal_is_not_answered_is_tried_again_before_it_ends() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let request = LeaseRequest { lease: Duration::from_secs(4), now: None, ..lease(worker(1), LeaseAct::Begin, at(0)) };
    assert!(store.lease(request.clone()).await.unwrap().held);
    // Somebody has the row: as long as that lasts, the server says nothing.
    let mut other = database.connect().await;
    run(&mut other, "BEGIN; SELECT 1 FROM tasker.workers FOR UPDATE").await;
    let (began, renew) = (Instant::now(), LeaseRequest { act: LeaseAct::Renew, ..request });
    assert!(store.lease(renew.clone()).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    run(&mut other, "ROLLBACK").await;
    assert!(store.lease(renew).await.unwrap().held);
}

/// Passes everything on, until the connections that there are fall silent; new ones are as they should be.
async fn serve(listener: TcpListener, server: String, silent: watch::Receiver<bool>) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let (server, mut silent) = (server.clone(), silent.clone());
        silent.borrow_and_update();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(server).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                _ = silent.changed() => std::future::pending().await,
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beside_one_of_which_nothing_is_heard_are_made_anew() {
    if !is_there() {
        return;
    }
    let (direct, database) = open().await;
    let url = database.url();
    let (before, rest) = url.split_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = listener.local_addr().unwrap();
    let (fall_silent, silent) = watch::channel(false);
    let proxy = tokio::spawn(serve(listener, server.to_owned(), silent));
    let store = PostgresStore::open(&format!("{before}@{through}/{name}"), Durability::Full).await.unwrap();
    let request = LeaseRequest { lease: Duration::from_secs(4), now: None, ..lease(worker(1), LeaseAct::Begin, at(0)) };
    assert!(store.lease(request.clone()).await.unwrap().held);
    // Every connection is made.
    for _ in 0..20 {
        tokio::join!(async { store.queues().await.unwrap() }, async { store.queues().await.unwrap() });
    }
    store.due(None).await.unwrap();

    fall_silent.send(true).unwrap();
    let began = Instant::now();
    let renew = LeaseRequest { act: LeaseAct::Renew, ..request };
    assert!(store.lease(renew.clone()).await.is_err(), "it waits for an answer, but not for ever");
    for _ in 0..5 {
        store.queues().await.unwrap();
    }
    store.due(None).await.unwrap();
    assert!(store.lease(renew).await.unwrap().held, "in time");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    proxy.abort();
    drop(direct);
}
