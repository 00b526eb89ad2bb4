//! The one connection that writes: owned by a thread of its own. A caller who goes away leaves nothing half-done, and
//! between two statements SQLite never waits for a thread that does something else.

use std::sync::Arc;

use sqlx::{Connection as _, SqliteConnection};
use tasker_types::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::cache::Cache;
use super::error::{translate, unless_committed};
use super::templates::Templates;
use super::{claim, prune, transact};
use crate::core::{Batch, Pinned, ResolvedTemplate};
use crate::store::{ClaimRequest, Claims, Committed, Due, StoreError};

/// Calls that may wait for the writer; further callers wait for a place.
const QUEUE_LENGTH: usize = 64;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Job {
    Transact(Box<Batch>, Answer<Committed>),
    Claim(ClaimRequest, Answer<Claims>),
    Due(Timestamp, Answer<Due>),
    Pin(Box<ResolvedTemplate>, Timestamp, Answer<Arc<Pinned>>),
    Prune(Timestamp, u32, Answer<u64>),
    Version(Answer<i64>),
    /// The last column of what the writer's own connection answers, as text.
    #[cfg(test)]
    Ask(String, Answer<Vec<String>>),
    Close(Answer<()>),
}

/// The way to the writer.
#[derive(Debug, Clone)]
pub(super) struct Writer(mpsc::Sender<Job>);

impl Writer {
    pub(super) fn start(connection: SqliteConnection, templates: Arc<Templates>) -> Result<Self, StoreError> {
        let (sender, jobs) = mpsc::channel(QUEUE_LENGTH);
        let failed =
            |error: std::io::Error| StoreError::Open(format!("the writer's thread cannot be started: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new().name("tasker-writer".to_owned());
        thread.spawn(move || runtime.block_on(run(connection, templates, jobs))).map_err(failed)?;
        Ok(Self(sender))
    }

    pub(super) async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, told) = oneshot::channel();
        self.0.send(job(answer)).await.map_err(|_| StoreError::Open("the database was closed".into()))?;
        // It had the job when it stopped: nobody knows how far it came.
        told.await.map_err(|_| StoreError::Unknown("the database was closed meanwhile".into()))?
    }
}

async fn run(mut connection: SqliteConnection, templates: Arc<Templates>, mut jobs: mpsc::Receiver<Job>) {
    let mut cache = Cache::default();
    while let Some(job) = jobs.recv().await {
        let c = &mut connection;
        // A caller who went away does not want the answer: what was done stays done.
        match job {
            Job::Transact(batch, answer) => {
                let outcome = transact::transact(c, &templates, &mut cache, &batch).await;
                if outcome.is_err() {
                    cache.clear();
                }
                _ = answer.send(whole(outcome, c).await);
            }
            Job::Claim(request, answer) => {
                let outcome = claim::claim(c, &templates, &request).await;
                match &outcome {
                    Ok(claims) => claims.claimed.iter().for_each(|claimed| cache.forget(claimed.task)),
                    Err(_) => cache.clear(),
                }
                _ = answer.send(whole(outcome, c).await);
            }
            Job::Due(now, answer) => {
                let outcome = claim::due(c, now).await;
                if !outcome.as_ref().is_ok_and(|due| due.ready == 0) {
                    cache.clear();
                }
                _ = answer.send(whole(outcome, c).await);
            }
            Job::Pin(template, now, answer) => {
                _ = answer.send(whole(templates.pin(c, *template, now).await, c).await);
            }
            Job::Prune(before, limit, answer) => {
                let outcome = prune::prune(c, before, limit).await;
                // A task that was asked for in vain is kept though it is over.
                if !outcome.as_ref().is_ok_and(|&pruned| pruned == 0) {
                    cache.clear();
                }
                _ = answer.send(whole(outcome, c).await);
            }
            Job::Version(answer) => _ = answer.send(version(c).await),
            #[cfg(test)]
            Job::Ask(sql, answer) => _ = answer.send(ask(c, &sql).await),
            Job::Close(answer) => {
                // The last connection that closes moves the WAL into the file.
                _ = answer.send(connection.close().await.map_err(translate));
                return;
            }
        }
    }
}

/// What was done of a failed transaction is undone.
async fn whole<T>(outcome: Result<T, StoreError>, connection: &mut SqliteConnection) -> Result<T, StoreError> {
    if outcome.is_err() {
        // "No transaction is active" is the one failure that this can meet: SQLite had rolled back by itself.
        let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    }
    outcome
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await.map_err(translate)
}

/// Takes the write lock at once: a transaction that reads first and writes later could be refused half-way.
pub(super) async fn begin(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await.map(drop).map_err(translate)
}

pub(super) async fn commit(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("COMMIT").execute(connection).await.map(drop).map_err(unless_committed)
}

#[cfg(test)]
async fn ask(connection: &mut SqliteConnection, sql: &str) -> Result<Vec<String>, StoreError> {
    use sqlx::{AssertSqlSafe, Row as _};

    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(translate)?;
    rows.iter().map(|row| row.try_get_unchecked(row.len() - 1).map_err(translate)).collect()
}
