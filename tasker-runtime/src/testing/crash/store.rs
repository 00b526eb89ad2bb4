//! A store in memory whose process dies at one commit.

use std::fmt::Write as _;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tasker_types::{StepNumber, Timestamp};
use tokio::sync::Notify;

use super::{TestRun, When};
use crate::core::{Batch, Command, Outcome};
use crate::store::{Around, ClaimRequest, Claims, Committed, Due, MemoryStore, Store, StoreError};

/// A store in memory whose process dies at one commit: from then on no call of it comes back.
pub(super) struct Mortal {
    store: Arc<MemoryStore>,
    at: usize,
    when: When,
    /// Commits that changed something.
    commits: AtomicUsize,
    /// What the last commit was about.
    last: Mutex<Vec<Part>>,
    died: Notify,
}

/// A part of what a commit is about.
enum Part {
    Task,
    Result(StepNumber),
    Failure(StepNumber),
    Claim(StepNumber),
    Retry,
    Other,
}

impl Mortal {
    /// Dies at this commit, counted from 0.
    pub(super) fn new(at: usize, when: When) -> Self {
        let (commits, last, died) = (AtomicUsize::new(0), Mutex::default(), Notify::new());
        Self { store: Arc::default(), at, when, commits, last, died }
    }

    /// Waits for its death.
    pub(super) async fn death(&self) {
        self.died.notified().await;
    }

    /// What it left behind.
    pub(super) fn left(&self) -> Arc<MemoryStore> {
        self.store.clone()
    }

    /// What the commit was about at which it died, of the task that this run is of.
    pub(super) fn what(&self, run: &TestRun) -> String {
        let name = |number: &StepNumber| run.view().row.pinned.name(*number);
        let mut text = String::new();
        for part in self.last.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a `String` cannot fail.
            let _ = match part {
                Part::Task => write!(text, "{comma}the task"),
                Part::Result(number) => write!(text, "{comma}the result of `{}`", name(number)),
                Part::Failure(number) => write!(text, "{comma}the failure of `{}`", name(number)),
                Part::Claim(number) => write!(text, "{comma}the claim of `{}`", name(number)),
                Part::Retry => write!(text, "{comma}a retry that was due"),
                Part::Other => write!(text, "{comma}an action"),
            };
        }
        text
    }

    /// Makes a call that writes, and dies with it if it is time; a call that changes nothing is no commit.
    async fn write<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
        about: impl FnOnce(&T) -> Vec<Part> + Send,
    ) -> Result<T, StoreError> {
        let commits = self.commits.load(Ordering::SeqCst);
        if commits > self.at {
            return pending().await;
        }
        // The calls of a store in memory do not wait for anything: nothing else happens in between.
        let earlier = (commits == self.at && self.when == When::Before).then(|| self.store.copy());
        let answer = call.await?;
        let parts = about(&answer);
        if parts.is_empty() {
            return Ok(answer);
        }
        self.commits.store(commits + 1, Ordering::SeqCst);
        if commits < self.at {
            return Ok(answer);
        }
        if let Some(earlier) = earlier {
            self.store.go_back_to(earlier);
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = parts;
        self.died.notify_one();
        pending().await
    }
}

fn part_of(command: &Command) -> Part {
    match command {
        Command::Submit(_) => Part::Task,
        Command::Finish(finish)
            if matches!(finish.outcome, Outcome::Completed { .. } | Outcome::Decided { .. } | Outcome::Cut { .. }) =>
        {
            Part::Result(finish.step.number)
        }
        Command::Finish(finish) => Part::Failure(finish.step.number),
        _ => Part::Other,
    }
}

#[async_trait]
impl Around for Mortal {
    fn store(&self) -> &MemoryStore {
        &self.store
    }

    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        let commands = batch.commands.clone();
        self.write(self.store.transact(batch), |committed| {
            let taken = commands.iter().zip(&committed.replies).filter(|(_, reply)| reply.is_ok());
            taken.map(|(command, _)| part_of(command)).collect()
        })
        .await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        let about = |claims: &Claims| claims.claimed.iter().map(|step| Part::Claim(step.live.number)).collect();
        self.write(self.store.claim(request), about).await
    }

    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError> {
        let about = |due: &Due| if due.ready > 0 { vec![Part::Retry] } else { Vec::new() };
        self.write(self.store.due(now), about).await
    }
}
