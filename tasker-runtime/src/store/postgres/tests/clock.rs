//! Where a call says no time, the server's clock decides.

use std::time::Duration;

use tasker_types::{StepState, Timestamp};

use super::server::{is_there, open};
use crate::core::{Batch, Capacity};
use crate::store::conformance::World;
use crate::store::conformance::sample::{chain, complete, fail, lease, queues, submit, task, worker};
use crate::store::{ClaimRequest, LeaseAct, LeaseRequest, Store as _, Whose};

/// How far the clocks of one machine, read one after the other by a busy test, may be apart.
const APART: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_servers_clock_decides_where_no_time_is_told() {
    if !is_there() {
        return;
    }
    let (store, _database) = open().await;
    let store = &store;
    let mut w = World::new(store);
    let pinned = w.pin(chain(2)).await;
    let (me, other) = (worker(1), worker(2));
    let leased = |of, lease: Duration| LeaseRequest { lease, now: None, ..self::lease(of, LeaseAct::Begin, w.now) };
    assert!(store.lease(leased(me, APART)).await.unwrap().held);
    assert!(store.lease(leased(other, Duration::ZERO)).await.is_ok_and(|leased| !leased.held), "it is over at once");
    let batch = |commands, capacity| Batch { commands, capacity, now: None };
    store.transact(batch([submit(task(1), &pinned)].into(), None)).await.unwrap();
    let request =
        |of| ClaimRequest { worker: of, queues: queues([&pinned]), limit: 1, lossy: false, now: None, rotation: 0 };
    assert!(store.claim(request(other)).await.unwrap().claimed.is_empty());
    let claimed = store.claim(request(me)).await.unwrap().claimed.remove(0);
    let system = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let system = Timestamp::from_micros(i64::try_from(system.as_micros()).unwrap());
    let at = claimed.live.claimed_at.unwrap();
    assert!(at.since(system) < APART && system.since(at) < APART, "{at} beside {system}");

    let committed = store.transact(batch([fail(&claimed)].into(), None)).await.unwrap();
    let told = committed.next_retry.unwrap();
    let due = store.due(None).await.unwrap();
    assert!(due.ready == 0 && due.next.is_some_and(|next| next <= told && !next.is_zero()), "{due:?} after {told:?}");
    tokio::time::timeout(APART, async { while store.due(None).await.unwrap().ready == 0 {} }).await.unwrap();

    let again = store.claim(request(me)).await.unwrap().claimed.remove(0);
    let capacity = Capacity { worker: me, free: 1, queues: queues([&pinned]), continued: 0 };
    let committed = store.transact(batch([complete(&again)].into(), Some(capacity))).await.unwrap();
    assert_eq!(committed.claimed[0].live.state, StepState::Running);
    store.transact(batch([complete(&committed.claimed[0])].into(), None)).await.unwrap();
    assert_eq!(store.prune(APART, 9, None).await.unwrap(), 0, "it ended a moment ago");
    assert_eq!(store.prune(Duration::ZERO, 9, None).await.unwrap(), 1);
    assert_eq!(store.claims(Whose::Expired(None), 9).await.unwrap(), []);
    assert_eq!(store.workers(None).await.unwrap().iter().map(|told| told.is_live).collect::<Vec<_>>(), [true, false]);
}
