//! A connection that is lost while its COMMIT goes on: what is told then is decided.

use std::time::Duration;

use sqlx::Row as _;
use tasker_types::TaskState;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::server::{Database, is_there, open, run};
use crate::core::{Batch, Pinned, QueueId, TemplateId};
use crate::store::conformance::World;
use crate::store::conformance::sample::{roots, submit, task};
use crate::store::postgres::address::Address;
use crate::store::postgres::session::Session;
use crate::store::postgres::{Durability, PostgresStore};
use crate::store::{Store as _, StoreError};

/// Every commit of a new task takes this long.
const SLOW: &str = "CREATE FUNCTION tasker.slow() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$; \
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON tasker.tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
    EXECUTE FUNCTION tasker.slow()";
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until it is cut; for ever where it was cut before.
async fn cut_now(cut: &mut watch::Receiver<bool>) {
    if *cut.borrow_and_update() || cut.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Passes everything on until it is cut: then the client's side is closed, and the server hears nothing of it.
async fn pass(mut client: TcpStream, server: String, mut cut: watch::Receiver<bool>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut up, mut down) = ([0; 65_536], [0; 65_536]);
    loop {
        tokio::select! {
            biased;
            () = cut_now(&mut cut) => break,
            read = client.read(&mut up) => match read {
                Ok(bytes @ 1..) => server.write_all(&up[..bytes]).await.unwrap(),
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(bytes @ 1..) => client.write_all(&down[..bytes]).await.unwrap(),
                _ => return,
            },
        }
    }
    drop(client);
    tokio::time::sleep(DEADLINE).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_commit_whose_connection_is_lost_is_decided_when_it_is_told_as_unknown() {
    if is_there() {
        let (direct, database) = open().await;
        is_decided(&direct, &database, &database.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_commit_through_a_pooler_is_decided_too() {
    if is_there() {
        let (direct, database) = open().await;
        is_decided(&direct, &database, &format!("{}?pooler=true", database.url())).await;
    }
}

/// A commit of which the server hears no more, on a store of this URL.
pub(super) async fn is_decided(direct: &PostgresStore, database: &Database, url: &str) {
    let mut w = World::new(direct);
    let pinned = w.pin(roots(1)).await;
    let mut other = database.connect().await;
    run(&mut other, SLOW).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = listener.local_addr().unwrap().to_string();
    let (before, rest) = url.split_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let (cut, hears) = watch::channel(false);
    let server = server.to_owned();
    let proxy = tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            // Only the connections that are there when it is cut are lost.
            tokio::spawn(pass(client, server.clone(), hears.clone()));
        }
    });
    let store = PostgresStore::open(&format!("{before}@{through}/{name}"), Durability::Full).await.unwrap();
    let commands = [submit(task(1), &pinned)].into();
    let batch = Batch { commands, capacity: None, now: Some(w.now) };
    let sleeps = async {
        let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%COMMIT' AND wait_event = 'PgSleep'";
        while sqlx::query_scalar::<_, i64>(asked).fetch_one(&mut other).await.unwrap() == 0 {}
        cut.send(true).unwrap();
    };
    let (outcome, ()) =
        tokio::time::timeout(DEADLINE, async { tokio::join!(store.transact(batch), sleeps) }).await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    let told = store.task_state(task(1)).await.unwrap();
    // Whatever it is, it stays.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(direct.task_state(task(1)).await.unwrap(), told);
    assert!(matches!(told, None | Some(TaskState::Pending)));
    proxy.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn commits_are_as_durable_as_the_user_says_also_behind_a_pooler() {
    if !is_there() {
        return;
    }
    let (_store, database) = open().await;
    for (query, durability, wanted) in [
        ("", Durability::Full, "on"),
        ("", Durability::Relaxed, "off"),
        ("?pooler=true", Durability::Full, "on"),
        ("?pooler=true", Durability::Relaxed, "off"),
    ] {
        let address = Address::parse(&format!("{}{query}", database.url()), durability).unwrap();
        let mut session = Session::connect(&address).await.unwrap();
        session.begin().await.unwrap();
        assert_eq!(setting(&mut session, "synchronous_commit").await, wanted, "{query} {durability:?}");
        session.commit().await.unwrap();
    }
}

async fn setting(session: &mut Session, name: &str) -> String {
    session.fetch(sqlx::query("SELECT current_setting($1)").bind(name)).await.unwrap()[0].get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn behind_a_pooler_each_transaction_brings_its_own_time_limits() {
    if !is_there() {
        return;
    }
    let (_store, database) = open().await;
    let address = Address::parse(&format!("{}?pooler=true", database.url()), Durability::Full).unwrap();
    let mut session = Session::connect(&address).await.unwrap();
    let limit = async |session: &mut Session| setting(session, "idle_in_transaction_session_timeout").await;
    session.begin().await.unwrap();
    assert_eq!(limit(&mut session).await, "30s");
    session.commit().await.unwrap();
    session.begin_read().await.unwrap();
    assert_eq!(limit(&mut session).await, "30s");
    session.end_read().await.unwrap();
    assert_eq!(limit(&mut session).await, "0", "the session is left as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_committed_in_one_message_says_what_was_not_there_and_stores_nothing() {
    if !is_there() {
        return;
    }
    let (store, _database) = open().await;
    let w = World::new(&store);
    let foreign = Pinned::new(TemplateId(4_711), roots(1), &[QueueId(1)]).into();
    let batch = Batch { commands: [submit(task(1), &foreign)].into(), capacity: None, now: Some(w.now) };
    let failed = store.transact(batch).await.unwrap_err();
    assert!(matches!(failed, StoreError::Corrupt(_)), "{failed:?}");
    assert!(failed.to_string().contains("0 of 1 rows were as they had been loaded"), "{failed}");
    assert_eq!(store.task_state(task(1)).await.unwrap(), None);
}
