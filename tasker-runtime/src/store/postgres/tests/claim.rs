//! Claims beside other transactions.

use super::server::{is_there, open, run};
use crate::store::conformance::World;
use crate::store::conformance::sample::{roots, worker};
use crate::store::{ClaimRequest, Store as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_claim_goes_beyond_what_another_transaction_holds_and_says_so() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let mut w = World::new(&store);
    w.start(1, roots(12)).await;
    w.enroll(worker(1)).await;
    let mut other = database.connect().await;
    run(&mut other, "BEGIN; SELECT 1 FROM tasker.live_steps ORDER BY number LIMIT 5 FOR UPDATE").await;
    let request = ClaimRequest { limit: 5, ..w.request(worker(1)) };
    let claims = store.claim(request.clone()).await.unwrap();
    let numbers: Vec<u32> = claims.claimed.iter().map(|claim| claim.live.number.0).collect();
    assert_eq!((numbers, claims.passed_over), (vec![5, 6, 7, 8, 9], true));
    run(&mut other, "ROLLBACK").await;
    let claims = store.claim(request).await.unwrap();
    let numbers: Vec<u32> = claims.claimed.iter().map(|claim| claim.live.number.0).collect();
    assert_eq!((numbers, claims.passed_over), (vec![0, 1, 2, 3, 4], false));
}
