//! Who owns a database, and may do nothing else on its server, can do everything that a store does.

use std::time::{Duration, Instant};

use sqlx::Row as _;
use tasker_types::TaskState;

use super::commit::is_decided;
use super::server::{Database, Role, is_there};
use crate::store::conformance::World;
use crate::store::conformance::event::publishing;
use crate::store::conformance::sample::{at, chain, complete, lease, task, worker};
use crate::store::postgres::address::Address;
use crate::store::postgres::session::Session;
use crate::store::postgres::{Durability, PostgresStore};
use crate::store::{DeliveryReport, DeliveryRequest, LeaseAct, Page, Store as _, Subscription, TaskFilter};

const DEADLINE: Duration = Duration::from_secs(30);
/// Behind whatever a test does.
const MUCH_LATER: u64 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_owner_of_a_database_needs_no_other_rights() {
    if !is_there() {
        return;
    }
    let role = Role::create().await;
    let database = Database::owned_by(&role).await;
    let store = PostgresStore::open(&database.url_for(&role), Durability::Full).await.unwrap();
    let mut hints = store.hints().unwrap();
    tokio::time::timeout(DEADLINE, hints.changed()).await.expect("it can listen").unwrap();
    let mut w = World::new(&store);
    let new = Subscription { name: "all".into(), patterns: vec!["*".to_owned()], from_oldest: false };
    let subscriber = store.subscribe(new, Some(w.now)).await.unwrap();
    let id = w.start(1, publishing(chain(2))).await;
    for _ in 0..2 {
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
    }
    assert_eq!(w.task_state(id), TaskState::Completed);
    let request =
        DeliveryRequest { subscriber, worker: worker(1), tasks: 10, events: 10, behind: None, now: Some(w.now) };
    let due = store.deliveries(request).await.unwrap();
    let delivered: Vec<i64> = due.events.iter().map(|event| event.position).collect();
    assert!(delivered.len() >= 2);
    store.delivered(subscriber, DeliveryReport { delivered, ..DeliveryReport::default() }).await.unwrap();
    assert_eq!(store.list_tasks(TaskFilter::default(), Page { before: None, limit: 10 }).await.unwrap().len(), 1);
    assert_eq!(store.prune(Duration::ZERO, 10, Some(at(MUCH_LATER))).await.unwrap(), 1);
    assert!(!store.lease(lease(worker(1), LeaseAct::End, w.now)).await.unwrap().held);
    store.facts().await.unwrap();
    assert_eq!(store.task_state(task(1)).await.unwrap(), None);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_owner_of_a_database_has_its_lost_commits_decided() {
    if !is_there() {
        return;
    }
    let role = Role::create().await;
    let database = Database::owned_by(&role).await;
    let url = database.url_for(&role);
    let store = PostgresStore::open(&url, Durability::Full).await.unwrap();
    let address = Address::parse(&url, Durability::Full).unwrap();
    let mut session = Session::connect(&address).await.unwrap();
    let rights = "SELECT current_user::text, rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = current_user";
    let rows = session.read(sqlx::query(rights)).await.unwrap();
    assert_eq!((rows[0].get::<String, _>(0), rows[0].get::<bool, _>(1)), (role.name.clone(), false));

    // One process of the server of this role may end another one.
    let lost = Session::connect(&address).await.unwrap();
    let commit = lost.commits_by().unwrap();
    assert!(session.is_open(&commit).await.unwrap());
    let deadline = Instant::now() + DEADLINE;
    while session.is_open(&commit).await.unwrap() {
        assert!(Instant::now() < deadline, "the process is never ended");
    }
    is_decided(&store, &database, &url).await;
    store.close().await.unwrap();
}
