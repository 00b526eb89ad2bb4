use proptest::prelude::*;

use super::server::{Database, is_there};
use crate::store::differential::{compare, histories};
use crate::store::postgres::{Durability, PostgresStore};

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_server_answer_alike(calls in histories()) {
        if !is_there() {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let database = Database::create().await;
            let open = async || Box::new(PostgresStore::open(&database.url(), Durability::Relaxed).await.unwrap());
            compare([open().await, open().await], calls).await;
        });
    }
}
