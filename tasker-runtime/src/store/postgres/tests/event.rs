//! Events and subscribers, on a server.

use super::server::{is_there, open, run};
use crate::store::conformance::World;
use crate::store::conformance::sample::task;
use crate::store::{Store as _, Subscription};

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
