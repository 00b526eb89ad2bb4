use proptest::prelude::*;

use super::file::{Folder, OPTIONS};
use crate::store::differential::{compare, histories};
use crate::store::sqlite::SqliteStore;

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_file_answer_alike(calls in histories()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let open = async || Box::new(SqliteStore::open_with(folder.database(), OPTIONS).await.unwrap());
            compare([open().await, open().await], calls).await;
        });
    }
}
