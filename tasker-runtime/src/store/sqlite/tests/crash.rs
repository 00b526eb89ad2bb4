//! What power loss leaves of the files holds everything that was acknowledged.

use std::path::Path;

use tasker_types::TaskState;

use super::file::Folder;
use crate::core::Dump;
use crate::store::Store;
use crate::store::conformance::World;
use crate::store::conformance::sample::{cancel, complete, fail, fan, roots, worker};
use crate::store::sqlite::{Durability, SqliteStore};

fn wal(path: &Path) -> Vec<u8> {
    std::fs::read(path.with_extension("db-wal")).unwrap()
}

/// What is found in a copy of the file with this much of its WAL.
async fn after_loss(database: &Path, wal: &[u8]) -> Dump {
    let folder = Folder::new();
    std::fs::copy(database, folder.database()).unwrap();
    std::fs::write(folder.database().with_extension("db-wal"), wal).unwrap();
    let store = SqliteStore::open(folder.database(), Durability::Full).await.unwrap();
    let rows = store.dump(None, 100).await.unwrap();
    store.close().await.unwrap();
    rows
}

#[tokio::test]
async fn a_copy_at_each_acknowledged_commit_holds_all_of_it() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.database(), Durability::Full).await.unwrap();
    let mut w = World::new(&store);
    let id = w.start(1, fan(4)).await;
    let mut claims = w.claim(worker(1), 100).await;
    while let Some(claim) = claims.pop() {
        w.pass(10);
        let committed = w.transact_with(worker(1), 10, vec![complete(&claim)]).await;
        claims.extend(committed.claimed);
        assert_eq!(after_loss(&folder.database(), &wal(&folder.database())).await, w.rows);
    }
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_copy_that_was_cut_within_a_commit_holds_the_one_before() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.database(), Durability::Full).await.unwrap();
    let mut w = World::new(&store);
    let id = w.start(1, roots(3)).await;
    let claims = w.claim(worker(1), 100).await;
    let mut steps = vec![(wal(&folder.database()).len(), w.rows.clone())];
    for command in [complete(&claims[0]), fail(&claims[1]), cancel(id, 1)] {
        w.one(command).await.unwrap();
        steps.push((wal(&folder.database()).len(), w.rows.clone()));
    }
    let whole = wal(&folder.database());
    for pair in steps.windows(2) {
        let [(from, before), (to, after)] = pair else { unreachable!("windows of two") };
        assert!(from < to);
        for cut in [*from, from + 1, from + 24, (from + to) / 2, to - 1] {
            assert_eq!(&after_loss(&folder.database(), &whole[..cut]).await, before, "cut at {cut} of {from}..{to}");
        }
        assert_eq!(&after_loss(&folder.database(), &whole[..*to]).await, after);
    }
}

#[tokio::test]
async fn a_tail_that_was_half_written_is_ignored() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.database(), Durability::Full).await.unwrap();
    let mut w = World::new(&store);
    w.start(1, roots(3)).await;
    let mut bytes = wal(&folder.database());
    let frame = bytes[bytes.len() - 4_120..].to_vec();
    for tail in [vec![0; 10_000], vec![0xff; 4_120], frame] {
        bytes.extend(tail);
        assert_eq!(after_loss(&folder.database(), &bytes).await, w.rows);
    }
}
