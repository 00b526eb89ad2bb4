//! What attempts save of how far they have come, on its way to the store with whatever else is committed.

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::Error;
use super::dispatch::Message;
use super::limits;
use crate::core::{Checkpoint, Command, StepRef};
use crate::handler::{CheckpointError, Claim, SaveCheckpoint, Saving};

/// The loop, as attempts know it.
pub(super) struct Checkpoints(pub(super) mpsc::WeakSender<Message>);

impl SaveCheckpoint for Checkpoints {
    fn save(&self, claim: Claim, value: Value) -> Saving {
        let inbox = self.0.upgrade();
        Box::pin(async move {
            let text = limits::checkpoint(&value).map_err(CheckpointError::NotStorable)?;
            let Claim { task, number, attempt, worker } = claim;
            let checkpoint = Checkpoint { step: StepRef { task, number }, attempt, worker, value: text.into() };
            let command = Box::new(Command::Checkpoint(checkpoint));
            let stopped = || CheckpointError::NotSaved(Error::Stopped.to_string());
            let (answer, told) = oneshot::channel();
            let inbox = inbox.ok_or_else(stopped)?;
            inbox.send(Message::Act { command, answer }).await.map_err(|_| stopped())?;
            // The engine must be able to end while this waits.
            drop(inbox);
            match told.await.map_err(|_| stopped())? {
                Ok(_) => Ok(()),
                Err(Error::Refused(refusal)) => Err(CheckpointError::Stale(refusal.to_string())),
                Err(error) => Err(CheckpointError::NotSaved(error.to_string())),
            }
        })
    }
}
