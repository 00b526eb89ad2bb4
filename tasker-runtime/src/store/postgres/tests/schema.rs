//! A schema that is not the one of this program is refused, with what to do about it.

use super::server::{Database, is_there, open, run};
use crate::store::StoreError;
use crate::store::migration::tests::assert_are_the_files;
use crate::store::postgres::schema::MIGRATIONS;
use crate::store::postgres::{Durability, PostgresStore};

#[test]
fn the_migrations_are_those_of_their_folder() {
    assert_are_the_files(MIGRATIONS, "postgres");
}

/// What is told to whoever opens the database once this was done to it.
async fn told_after(sql: &str) -> String {
    let (store, database) = open().await;
    store.close().await.unwrap();
    run(&mut database.connect().await, sql).await;
    cannot_open(&database).await
}

async fn cannot_open(database: &Database) -> String {
    match PostgresStore::open(&database.url(), Durability::Full).await {
        Err(StoreError::Open(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_schema_of_another_text_is_refused() {
    if !is_there() {
        return;
    }
    let told = told_after("UPDATE tasker.migrations SET checksum = '\\x00' WHERE version = 2").await;
    assert!(told.contains("migration 2 of the schema is not the one of this program: use the program"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_schema_in_which_a_migration_is_missing_is_refused() {
    if !is_there() {
        return;
    }
    let told = told_after("DELETE FROM tasker.migrations WHERE version = 4").await;
    assert!(told.contains("migration 4 of the schema is missing") && told.contains("from a backup"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tables_of_which_no_migration_tells_are_refused_and_left_as_they_are() {
    if !is_there() {
        return;
    }
    for sql in ["DROP TABLE tasker.migrations", "DELETE FROM tasker.migrations"] {
        let told = told_after(sql).await;
        assert!(told.contains("`tasker.migrations` does not say which: bring the whole schema back"), "{told}");
    }
    let database = Database::create().await;
    let mut theirs = database.connect().await;
    run(&mut theirs, "CREATE SCHEMA tasker; CREATE TABLE tasker.queues (title text)").await;
    let told = cannot_open(&database).await;
    assert!(told.contains("\"queues\" already exists") && told.contains("use another database"), "{told}");
    let tables = "SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'tasker'";
    assert_eq!(sqlx::query_scalar::<_, String>(tables).fetch_one(&mut theirs).await.unwrap(), "queues");
}
