use std::os::unix::fs::PermissionsExt as _;

use super::file::{Folder, ask, open};
use crate::store::conformance::World;
use crate::store::conformance::sample::{chain, complete, worker};
use crate::store::sqlite::{Durability, SqliteStore};
use crate::store::{ClaimRequest, Store};

#[tokio::test]
async fn every_commit_is_synced_unless_the_user_says_otherwise() {
    let settings = "SELECT (SELECT synchronous FROM pragma_synchronous) || ' ' || (SELECT journal_mode FROM pragma_journal_mode) \
                    || ' ' || (SELECT foreign_keys FROM pragma_foreign_keys)";
    for (durability, wanted) in [(Durability::Full, "2 wal 1"), (Durability::Relaxed, "1 wal 1")] {
        let folder = Folder::new();
        let store = SqliteStore::open(folder.database(), durability).await.unwrap();
        assert_eq!(ask(&store, settings).await, [wanted]);
        let facts = store.facts().await.unwrap();
        let told = if durability == Durability::Full { "FULL" } else { "NORMAL" };
        assert_eq!((facts.journal_mode.as_str(), facts.synchronous, facts.schema_version), ("wal", told, 6));
        assert!(facts.pages > facts.free_pages && facts.page_bytes >= 512);
    }
    assert_eq!(Durability::default(), Durability::Full);
}

#[tokio::test]
async fn only_its_owner_may_read_the_files() {
    let (store, folder) = open().await;
    let mut w = World::new(&store);
    w.start(1, chain(1)).await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.file("")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort_unstable();
    assert_eq!(names, ["tasker.db", "tasker.db-shm", "tasker.db-wal"]);
}

#[tokio::test]
async fn closing_leaves_one_file_and_nothing_lost() {
    let (store, folder) = open().await;
    let mut w = World::new(&store);
    w.start(1, chain(1)).await;
    store.close().await.unwrap();
    assert_eq!(std::fs::read_dir(folder.file("")).unwrap().count(), 1);
    assert!(store.counts().await.is_err(), "it is closed");
    assert!(store.version().await.is_err(), "it is closed");
    let again = SqliteStore::open(folder.database(), Durability::Full).await.unwrap();
    assert_eq!(again.dump(None, 100).await.unwrap(), w.rows);
}

#[tokio::test]
async fn what_another_connection_writes_changes_the_version() {
    let (store, folder) = open().await;
    let other = SqliteStore::open(folder.database(), Durability::Relaxed).await.unwrap();
    let mut versions = vec![store.version().await.unwrap()];
    let mut w = World::new(&other);
    w.start(1, chain(1)).await;
    versions.push(store.version().await.unwrap());
    w.claim_one(worker(1)).await;
    versions.push(store.version().await.unwrap());
    other.counts().await.unwrap();
    versions.push(store.version().await.unwrap());
    assert!(versions[0] != versions[1] && versions[1] != versions[2], "{versions:?}");
    assert_eq!(versions[2], versions[3], "a read is no change");
}

#[tokio::test]
async fn two_processes_see_each_others_work() {
    let (one, folder) = open().await;
    let two = SqliteStore::open(folder.database(), Durability::Relaxed).await.unwrap();
    let mut w = World::new(&one);
    let id = w.start(1, chain(2)).await;
    w.enroll(worker(1)).await;
    // Its template, its queue and its task came from the other one.
    let request = ClaimRequest { queues: w.queues.clone(), ..World::new(&two).request(worker(1)) };
    let claim = two.claim(request).await.unwrap().claimed.remove(0);
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(two.find_task(id).await.unwrap().unwrap().row.open_steps, 1);
    assert_eq!(two.dump(None, 100).await.unwrap(), w.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_may_open_a_new_file_at_once() {
    // Each time they meet at another moment.
    for _ in 0..25 {
        let folder = Folder::new();
        let opened: Vec<_> =
            (0..8).map(|_| tokio::spawn(SqliteStore::open(folder.database(), Durability::Relaxed))).collect();
        for store in opened {
            let store = store.await.unwrap().unwrap();
            assert_eq!(store.counts().await.unwrap().open_tasks, 0);
        }
    }
}
