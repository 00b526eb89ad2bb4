//! How an attempt saves how far it has come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use tasker_types::{StepError, StepNumber, TaskId, WorkerId, error_types};
use tokio::sync::Mutex;

/// Why a checkpoint was not saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The attempt no longer holds its claim, as its worker was taken for dead or its task is over: what it does now is for
    /// nothing, and its outcome will be dropped.
    #[error("the attempt no longer holds its claim: {0}")]
    Stale(String),
    /// The value is larger or deeper than what is stored, or has text that a database cannot store.
    #[error("the checkpoint {0}")]
    NotStorable(String),
    /// The store did not take it. What was saved before stands; a later call may succeed.
    #[error("the checkpoint was not saved: {0}")]
    NotSaved(String),
}

impl From<CheckpointError> for StepError {
    /// What cannot be stored today cannot be stored at the next try; the rest may.
    fn from(error: CheckpointError) -> Self {
        let message = error.to_string();
        match error {
            CheckpointError::NotStorable(_) => Self::permanent(message).with_type(error_types::HANDLER_ERROR),
            CheckpointError::Stale(_) | CheckpointError::NotSaved(_) => Self::retryable(message),
        }
    }
}

/// The claim that an attempt holds: by it a checkpoint is known to come from whoever runs the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The task.
    pub task: TaskId,
    /// The step.
    pub number: StepNumber,
    /// The attempt.
    pub attempt: u32,
    /// The worker.
    pub worker: WorkerId,
}

/// The answer to a checkpoint that is on its way.
pub type Saving = Pin<Box<dyn Future<Output = Result<(), CheckpointError>> + Send>>;

/// Saves checkpoints. The engine is one: handlers know nothing else of it.
pub trait SaveCheckpoint: Send + Sync {
    /// Saves this for whoever holds the claim.
    fn save(&self, claim: Claim, value: Value) -> Saving;
}

/// Where one attempt saves how far it has come.
#[derive(Clone)]
pub struct Progress {
    place: Arc<dyn SaveCheckpoint>,
    claim: Claim,
    /// One checkpoint at a time.
    turn: Arc<Mutex<()>>,
}

impl Progress {
    /// Where the attempt with this claim saves.
    #[must_use]
    pub fn new(place: Arc<dyn SaveCheckpoint>, claim: Claim) -> Self {
        Self { place, claim, turn: Arc::default() }
    }

    /// Saves this in the place of what was saved before. It goes on though nobody waits for it any more, and the next one
    /// comes after it: of two commits at once, or one that is sent again, the older value could be written last.
    pub(super) fn save(&self, value: Value) -> Saving {
        let Self { place, claim, turn } = self.clone();
        Box::pin(async move {
            let turn = turn.lock_owned().await;
            let saving = tokio::spawn(async move {
                let saved = place.save(claim, value).await;
                drop(turn);
                saved
            });
            saving.await.unwrap_or_else(|error| Err(CheckpointError::NotSaved(error.to_string())))
        })
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("claim", &self.claim).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Sync;
    use std::time::Duration;

    use serde_json::json;
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;

    /// What reached it, and how each is answered.
    #[derive(Default)]
    struct Place(Sync<Vec<(Value, Option<oneshot::Sender<()>>)>>);

    impl Place {
        fn reached(&self) -> Vec<Value> {
            self.0.lock().unwrap().iter().map(|(value, _)| value.clone()).collect()
        }

        fn answer(&self, at: usize) {
            self.0.lock().unwrap()[at].1.take().unwrap().send(()).unwrap();
        }
    }

    impl SaveCheckpoint for Place {
        fn save(&self, _: Claim, value: Value) -> Saving {
            let (answer, told) = oneshot::channel();
            self.0.lock().unwrap().push((value, Some(answer)));
            Box::pin(async move { told.await.map_err(|error| CheckpointError::NotSaved(error.to_string())) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_that_nobody_waits_for_any_more_is_not_overtaken() {
        let place = Arc::new(Place::default());
        let claim = Claim {
            task: TaskId::from_uuid(Uuid::from_u128(1 << 24)),
            number: StepNumber(0),
            attempt: 1,
            worker: WorkerId(Uuid::from_u128(1)),
        };
        let progress = Progress::new(place.clone(), claim);
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, progress.save(json!(1))).await.is_err(), "the store is slow");
        let mut next = progress.save(json!(2));
        assert!(tokio::time::timeout(second, &mut next).await.is_err());
        assert_eq!(place.reached(), [json!(1)], "the second waits for the first");
        place.answer(0);
        assert!(tokio::time::timeout(second, &mut next).await.is_err());
        assert_eq!(place.reached(), [json!(1), json!(2)]);
        place.answer(1);
        next.await.unwrap();
    }
}
