use tasker_types::StepState;

use super::MemoryStore;
use crate::store::Due;
use crate::store::conformance::World;
use crate::store::conformance::sample::{fail, roots, worker};

async fn open() -> (MemoryStore, ()) {
    (MemoryStore::new(), ())
}

crate::store_conformance!(open);

#[tokio::test]
async fn a_held_step_is_not_claimed_and_not_made_ready() {
    let store = MemoryStore::new();
    let hold = |held| store.state().live.values_mut().for_each(|row| row.held = held);
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    hold(true);
    assert!(w.claim(worker(1), 100).await.is_empty());
    hold(false);
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    hold(true);
    w.pass(1_000_000);
    assert_eq!(w.due().await, Due::default());
    hold(false);
    assert_eq!(w.due().await.ready, 1);
    assert_eq!(w.states(id), [StepState::Ready]);
}
