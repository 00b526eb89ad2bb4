//! What can be wrong with a file: each has its error, and nothing is stored or lost.

use std::time::Duration;

use std::path::Path;

use tasker_types::TaskState;

use super::file::{Folder, OPTIONS, open, run};
use crate::core::{Batch, Command, NewTask, TaskInput};
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    cancel, chain, complete, fail, fail_for_good, lease, new_task, roots, submit, task, worker,
};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{LeaseAct, Store, StoreError};

async fn cannot_open(path: &Path) -> String {
    match SqliteStore::open_with(path, OPTIONS).await {
        Err(StoreError::Open(text)) => {
            assert!(text.contains(&*path.to_string_lossy()), "the error names the file: {text}");
            text
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    for length in [1, 50, 99, 100, 511, 512, 5_000] {
        let folder = Folder::new();
        let text = "This is no database. ".repeat(500)[..length].to_owned();
        std::fs::write(folder.database(), &text).unwrap();
        let told = cannot_open(&folder.database()).await;
        assert!(told.contains("file is not a database"), "{told}");
        assert_eq!(std::fs::read_to_string(folder.database()).unwrap(), text);
    }
}

#[tokio::test]
async fn a_path_that_can_be_no_file_is_refused() {
    let folder = Folder::new();
    cannot_open(&folder.file("")).await;
    cannot_open(&folder.file("there/is/no/such/folder.db")).await;
    std::fs::write(folder.file("file"), "").unwrap();
    cannot_open(&folder.file("file/tasker.db")).await;
}

#[tokio::test]
async fn an_empty_file_becomes_a_database() {
    let folder = Folder::new();
    std::fs::write(folder.database(), "").unwrap();
    let store = SqliteStore::open_with(folder.database(), OPTIONS).await.unwrap();
    World::new(&store).start(1, chain(1)).await;
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_was() {
    let folder = Folder::new();
    std::fs::write(folder.database(), "").unwrap();
    let mut theirs = folder.connect();
    run(&mut theirs, "CREATE TABLE tasks (title TEXT); INSERT INTO tasks VALUES ('mine')");
    let told = cannot_open(&folder.database()).await;
    assert!(told.contains("tasks"), "{told}");
    let tables: String =
        theirs.query_row("SELECT group_concat(name) FROM sqlite_schema", (), |row| row.get(0)).unwrap();
    assert_eq!(tables, "tasks");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (store, folder) = open().await;
    store.close().await.unwrap();
    let newer = "INSERT INTO tasker_migrations SELECT 999, description, installed_on, success, checksum, execution_time \
                 FROM tasker_migrations WHERE version = 1";
    run(&mut folder.connect(), newer);
    let refused = SqliteStore::open_with(folder.database(), OPTIONS).await;
    assert!(matches!(refused, Err(StoreError::Newer { found: 999, .. })), "{refused:?}");
    // What only adds is no obstacle.
    run(&mut folder.connect(), "UPDATE tasker_migrations SET description = 'expand: later' WHERE version = 999");
    SqliteStore::open_with(folder.database(), OPTIONS).await.unwrap();
}

#[tokio::test]
async fn a_file_that_may_only_be_read_refuses_each_write() {
    let (store, folder) = open().await;
    let mut w = World::new(&store);
    let id = w.start(1, chain(2)).await;
    let pinned = w.task(id).pinned.clone();
    w.one(submit(task(7), &pinned)).await.unwrap();
    w.one(cancel(task(7), 1)).await.unwrap();
    w.enroll(worker(1)).await;
    w.pass(10);
    store.close().await.unwrap();
    // The version of the format for writers: above 2, nobody may write. Unlike a mode, it binds root as well.
    let mut bytes = std::fs::read(folder.database()).unwrap();
    bytes[18] = 3;
    std::fs::write(folder.database(), &bytes).unwrap();

    let store = SqliteStore::open_with(folder.database(), OPTIONS).await.unwrap();
    for failed in every_write(&store, &w, submit(task(2), &pinned)).await {
        assert!(matches!(failed, StoreError::ReadOnly(_)), "{failed:?}");
    }
    assert_eq!(store.dump(None, 100).await.unwrap(), w.rows, "it can still be read");
    store.close().await.unwrap();
    assert_eq!(std::fs::read(folder.database()).unwrap(), bytes);
}

/// The error of each call that writes. One step is ready, and `World` is at a moment after all tasks.
async fn every_write(store: &SqliteStore, w: &World<'_, SqliteStore>, command: Command) -> Vec<StoreError> {
    let mut template = chain(1);
    template.template.version = "9.9.9".to_owned();
    vec![
        store.transact(Batch { commands: [command].into(), capacity: None, now: Some(w.now) }).await.unwrap_err(),
        store.claim(w.request(worker(1))).await.unwrap_err(),
        store.pin(template, w.now).await.unwrap_err(),
        store.prune(Duration::ZERO, 10, Some(w.now)).await.unwrap_err(),
        store.lease(lease(worker(1), LeaseAct::Renew, w.now)).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_database_that_another_process_holds_is_busy_for_a_moment() {
    let folder = Folder::new();
    let store = SqliteStore::open_with(folder.database(), OPTIONS).await.unwrap();
    let mut w = World::new(&store);
    let id = w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 1).await;
    w.one(fail(&claims[0])).await.unwrap();
    let before = w.rows.clone();
    w.pass(1_000_000);

    let mut other = folder.connect();
    run(&mut other, "BEGIN IMMEDIATE");
    let mut failed = every_write(&store, &w, submit(task(2), &w.task(id).pinned)).await;
    failed.push(store.due(Some(w.now)).await.unwrap_err());
    for failed in failed {
        assert!(matches!(failed, StoreError::Unavailable(_)) && !failed.is_final(), "{failed:?}");
    }
    assert_eq!(store.dump(None, 100).await.unwrap(), before, "reads do not wait");
    assert!(store.version().await.is_ok());
    let opened = SqliteStore::open_with(folder.database(), OPTIONS).await.unwrap();
    assert_eq!(opened.counts().await.unwrap().open_tasks, 1, "a file that is up to date is opened without its lock");
    run(&mut other, "ROLLBACK");

    w.look(0).await;
    assert_eq!(w.rows, before);
    assert_eq!(w.due().await.ready, 1);
    assert_eq!(w.claim(worker(1), 100).await.len(), 2, "the store works again");
}

#[tokio::test]
async fn a_new_file_that_another_process_holds_is_busy_for_a_moment() {
    let folder = Folder::new();
    std::fs::write(folder.database(), "").unwrap();
    let mut other = folder.connect();
    run(&mut other, "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE");
    let failed = SqliteStore::open_with(folder.database(), OPTIONS).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    run(&mut other, "ROLLBACK");
    SqliteStore::open_with(folder.database(), OPTIONS).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_stores_and_loses_nothing() {
    let folder = Folder::new();
    let full = SqliteOptions { pages_max: Some(80), ..OPTIONS };
    let store = SqliteStore::open_with(folder.database(), full).await.unwrap();
    let mut w = World::new(&store);
    let pinned = w.pin(chain(2)).await;
    let large = |number| {
        let new = new_task(task(number), &pinned);
        Command::Submit(NewTask { input: TaskInput { context: "7".repeat(9_000).into(), ..new.input.clone() }, ..new })
    };
    let mut number = 0;
    let failed = loop {
        number += 1;
        let batch = Batch { commands: [large(number), large(1_000 + number)].into(), capacity: None, now: Some(w.now) };
        match store.transact(batch).await {
            Ok(_) => w.look(2).await,
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, StoreError::Full(_)) && !failed.is_final(), "{failed:?}");
    let acknowledged = w.rows.clone();
    assert!(acknowledged.tasks.len() >= 4);
    w.look(0).await;
    assert_eq!(w.rows, acknowledged, "no half of the batch is there");
    // A small write may still find its place; a large one does not.
    let batch = Batch { commands: [large(number), large(1_000 + number)].into(), capacity: None, now: Some(w.now) };
    assert!(store.transact(batch.clone()).await.is_err());
    store.close().await.unwrap();

    let store = SqliteStore::open_with(folder.database(), OPTIONS).await.unwrap();
    assert_eq!(store.dump(None, 1_000).await.unwrap(), acknowledged);
    store.transact(batch).await.unwrap();
}

#[tokio::test]
async fn space_that_was_freed_is_used_again() {
    let folder = Folder::new();
    let full = SqliteOptions { pages_max: Some(80), ..OPTIONS };
    let store = SqliteStore::open_with(folder.database(), full).await.unwrap();
    let mut w = World::new(&store);
    let pinned = w.pin(chain(1)).await;
    let mut number = 0;
    loop {
        number += 1;
        let new = new_task(task(number), &pinned);
        let input = TaskInput { context: "7".repeat(9_000).into(), ..new.input.clone() };
        let commands = vec![Command::Submit(NewTask { input, ..new }), cancel(task(number), number)];
        if store.transact(Batch { commands: commands.into(), capacity: None, now: Some(w.now) }).await.is_err() {
            break;
        }
    }
    w.pass(10);
    assert_eq!(store.prune(Duration::ZERO, 1_000, Some(w.now)).await.unwrap(), u64::from(number - 1));
    w = World::new(&store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_task_that_another_process_reopens_is_not_pruned() {
    let folder = Folder::new();
    let patient = SqliteOptions { busy_timeout: Duration::from_secs(60), ..OPTIONS };
    let store = std::sync::Arc::new(SqliteStore::open_with(folder.database(), patient).await.unwrap());
    let mut w = World::new(&*store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    w.pass(10);
    let mut other = folder.connect();
    // It has the lock, and reopens the task while prune looks for what to delete.
    let reopen = "BEGIN IMMEDIATE; \
                  INSERT INTO step_attempts SELECT task, number, attempt, 4, worker, ready_at, claimed_at, finished_at, NULL, detail FROM step_results; \
                  DELETE FROM step_results; \
                  INSERT INTO live_steps SELECT task, number, 1, attempt, 0, 0, 0, 1, 1, 0, finished_at, 0, NULL, NULL FROM step_attempts; \
                  UPDATE tasks SET state = 1, finished_at = NULL, runnable = 1";
    run(&mut other, reopen);
    let (now, pruning) = (w.now, store.clone());
    let pruned = tokio::spawn(async move { pruning.prune(Duration::ZERO, 10, Some(now)).await });
    for _ in 0..20 {
        assert_eq!(store.counts().await.unwrap().failed_tasks, 1, "others still see it failed");
    }
    run(&mut other, "COMMIT");
    assert_eq!(pruned.await.unwrap().unwrap(), 0);
    w.look(1).await;
    assert_eq!(w.task_state(id), TaskState::Running);
}
