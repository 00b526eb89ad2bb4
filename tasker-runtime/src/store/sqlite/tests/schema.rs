//! A file whose schema is not the one of this program is refused, with what to do about it.

use super::file::{OPTIONS, open, run};
use crate::store::StoreError;
use crate::store::migration::tests::assert_are_the_files;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::schema::MIGRATIONS;

#[test]
fn the_migrations_are_those_of_their_folder() {
    assert_are_the_files(MIGRATIONS, "sqlite");
}

/// What is told to whoever opens the file once this was done to it.
async fn told_after(sql: &str) -> String {
    let (store, folder) = open().await;
    store.close().await.unwrap();
    run(&mut folder.connect(), sql);
    match SqliteStore::open_with(folder.database(), OPTIONS).await {
        Err(StoreError::Open(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_schema_of_another_text_is_refused() {
    let told = told_after("UPDATE tasker_migrations SET checksum = x'00' WHERE version = 2").await;
    assert!(told.contains("migration 2 of the schema is not the one of this program: use the program"), "{told}");
}

#[tokio::test]
async fn a_schema_in_which_a_migration_is_missing_is_refused() {
    let told = told_after("DELETE FROM tasker_migrations WHERE version = 4").await;
    assert!(told.contains("migration 4 of the schema is missing") && told.contains("from a backup"), "{told}");
}

#[tokio::test]
async fn tables_of_which_no_migration_tells_are_refused() {
    for sql in ["DROP TABLE tasker_migrations", "DELETE FROM tasker_migrations"] {
        let told = told_after(sql).await;
        assert!(told.contains("already exists") && told.contains("bring it back from a backup"), "{told}");
    }
}
