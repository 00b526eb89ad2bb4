//! The one connection that writes: owned by a thread of its own. A caller who goes away leaves nothing half-done, and
//! between two statements SQLite never waits for a thread that does something else.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tasker_types::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::cache::Cache;
use super::error::{translate, unless_committed};
use super::load::VERSION;
use super::rows::value;
use super::sql::{execute_one, first, nothing};
use super::templates::Templates;
use super::{claim, event, prune, transact, workers};
use crate::core::{Batch, Pinned, ResolvedTemplate, SubscriberId};
use crate::store::{
    ClaimRequest, Claims, Committed, Deliveries, DeliveryReport, DeliveryRequest, Due, LeaseRequest, Leased,
    StoreError, Subscription,
};

/// Calls that may wait for the writer; further callers wait for a place.
const QUEUE_LENGTH: usize = 64;
/// Batches of one transaction at most.
pub(super) const BATCHES_AT_ONCE: usize = 8;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Job {
    Transact(Box<Batch>, Answer<Committed>),
    Claim(ClaimRequest, Answer<Claims>),
    Due(Option<Timestamp>, Answer<Due>),
    Lease(LeaseRequest, Answer<Leased>),
    Pin(Box<ResolvedTemplate>, Timestamp, Answer<Arc<Pinned>>),
    Subscribe(Subscription, Option<Timestamp>, Answer<SubscriberId>),
    Unsubscribe(String, Answer<Option<u64>>),
    Deliveries(DeliveryRequest, Answer<Deliveries>),
    Delivered(SubscriberId, DeliveryReport, Answer<()>),
    Prune(Duration, u32, Option<Timestamp>, Answer<u64>),
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
    pub(super) fn start(connection: Connection, templates: Arc<Templates>) -> Result<Self, StoreError> {
        let (sender, jobs) = mpsc::channel(QUEUE_LENGTH);
        let thread = std::thread::Builder::new().name("tasker-writer".to_owned());
        thread
            .spawn(move || run(connection, &templates, jobs))
            .map_err(|error| StoreError::Open(format!("the writer's thread cannot be started: {error}")))?;
        Ok(Self(sender))
    }

    pub(super) async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, told) = oneshot::channel();
        self.0.send(job(answer)).await.map_err(|_| StoreError::Open("the database was closed".into()))?;
        // It had the job when it stopped: nobody knows how far it came.
        told.await.map_err(|_| StoreError::Unknown("the database was closed meanwhile".into()))?
    }
}

fn run(connection: Connection, templates: &Templates, mut jobs: mpsc::Receiver<Job>) {
    let mut cache = Cache::default();
    let mut next = None;
    while let Some(job) = next.take().or_else(|| jobs.blocking_recv()) {
        let c = &connection;
        // A caller who went away does not want the answer: what was done stays done.
        match job {
            Job::Transact(batch, answer) => {
                let mut together = Together { batches: vec![*batch], answers: vec![answer] };
                next = together.take_more(&mut jobs);
                together.commit(c, templates, &mut cache);
            }
            Job::Claim(request, answer) => {
                let outcome = claim::claim(c, templates, &request);
                match &outcome {
                    Ok(claims) => claims.claimed.iter().for_each(|claimed| cache.forget(claimed.task)),
                    Err(_) => cache.clear(),
                }
                _ = answer.send(whole(outcome, c));
            }
            Job::Due(now, answer) => {
                let outcome = claim::due(c, now);
                if !outcome.as_ref().is_ok_and(|due| due.ready == 0) {
                    cache.clear();
                }
                _ = answer.send(whole(outcome, c));
            }
            Job::Lease(request, answer) => _ = answer.send(whole(workers::lease(c, &request), c)),
            Job::Pin(template, now, answer) => {
                _ = answer.send(whole(templates.pin(c, *template, now), c));
            }
            Job::Prune(kept, limit, now, answer) => {
                let outcome = prune::prune(c, kept, limit, now);
                // A task that was asked for in vain is kept though it is over.
                if !outcome.as_ref().is_ok_and(|&pruned| pruned == 0) {
                    cache.clear();
                }
                _ = answer.send(whole(outcome, c));
            }
            Job::Subscribe(subscription, now, answer) => {
                // Which events are wanted may be others now.
                cache.clear();
                _ = answer.send(whole(event::subscribe(c, &subscription, now), c));
            }
            Job::Unsubscribe(name, answer) => {
                cache.clear();
                _ = answer.send(whole(event::unsubscribe(c, &name), c));
            }
            Job::Deliveries(request, answer) => _ = answer.send(event::deliveries(c, templates, &request)),
            Job::Delivered(subscriber, report, answer) => {
                _ = answer.send(whole(event::delivered(c, subscriber, &report), c));
            }
            Job::Version(answer) => _ = answer.send(version(c)),
            #[cfg(test)]
            Job::Ask(sql, answer) => _ = answer.send(ask(c, &sql)),
            Job::Close(answer) => {
                // The last connection that closes moves the WAL into the file.
                _ = answer.send(connection.close().map_err(|(_, error)| translate(error)));
                return;
            }
        }
    }
}

/// Batches that waited for the writer: they are one transaction.
struct Together {
    batches: Vec<Batch>,
    answers: Vec<Answer<Committed>>,
}

impl Together {
    /// Takes the batches that wait already, up to the first job of another kind, which comes next.
    fn take_more(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
        while self.batches.len() < BATCHES_AT_ONCE {
            match jobs.try_recv().ok()? {
                Job::Transact(batch, answer) => {
                    self.batches.push(*batch);
                    self.answers.push(answer);
                }
                other => return Some(other),
            }
        }
        None
    }

    fn commit(self, connection: &Connection, templates: &Templates, cache: &mut Cache) {
        let mut write = |batches: &[Batch]| transact::transact(connection, templates, cache, batches);
        match write(&self.batches) {
            Ok(all) => self.answers.into_iter().zip(all).for_each(|(answer, committed)| _ = answer.send(Ok(committed))),
            // One of them is to blame: the others are written without it.
            Err(error) if self.batches.len() > 1 && error.is_final() => {
                for (batch, answer) in self.batches.iter().zip(self.answers) {
                    let alone = write(std::slice::from_ref(batch));
                    _ = answer.send(alone.map(|mut one| one.pop().unwrap_or_default()));
                }
            }
            Err(error) => self.answers.into_iter().for_each(|answer| _ = answer.send(Err(error.clone()))),
        }
    }
}

/// What was done of a failed transaction is undone.
pub(super) fn whole<T>(outcome: Result<T, StoreError>, connection: &Connection) -> Result<T, StoreError> {
    if outcome.is_err() {
        // "No transaction is active" is the one failure that this can meet: SQLite had rolled back by itself.
        let _ = connection.execute_batch("ROLLBACK");
    }
    outcome
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(first(connection, VERSION, nothing, value)?.unwrap_or_default())
}

/// Takes the write lock at once: a transaction that reads first and writes later could be refused half-way.
pub(super) fn begin(connection: &Connection) -> Result<(), StoreError> {
    execute_one(connection, "BEGIN IMMEDIATE", nothing).map(drop)
}

pub(super) fn commit(connection: &Connection) -> Result<(), StoreError> {
    connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute(())).map(drop).map_err(unless_committed)
}

#[cfg(test)]
fn ask(connection: &Connection, sql: &str) -> Result<Vec<String>, StoreError> {
    use rusqlite::types::ValueRef;

    let mut statement = connection.prepare(sql).map_err(translate)?;
    let last = statement.column_count() - 1;
    let mut rows = statement.raw_query();
    let mut told = Vec::new();
    while let Some(row) = rows.next().map_err(translate)? {
        told.push(match row.get_ref(last).map_err(translate)? {
            ValueRef::Integer(number) => number.to_string(),
            value => value.as_str().unwrap_or_default().to_owned(),
        });
    }
    Ok(told)
}
