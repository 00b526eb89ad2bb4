//! The writes of one attempt to other services: under which key each goes, and that no key goes out with two of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tasker_types::TaskSequenceStep;

use super::StepContext;

tokio::task_local! {
    static WRITES: Arc<Writes>;
}

/// The writes of one attempt.
#[derive(Debug)]
pub(crate) struct Writes {
    step_key: String,
    /// What went out under each key, by its SHA-256.
    sent: Mutex<BTreeMap<String, [u8; 32]>>,
}

/// This attempt has sent another request under the same key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyTaken;

impl Writes {
    pub(crate) fn of(ctx: StepContext<'_>) -> Self {
        Self { step_key: ctx.idempotency_key(), sent: Mutex::default() }
    }

    /// Those of the attempt that the current task runs.
    pub(crate) fn current() -> Option<Arc<Self>> {
        WRITES.try_with(Arc::clone).ok()
    }

    /// The key of the write that is called `part` in its step, or of its only one.
    ///
    /// A service that keeps keys answers the second request under one key with what it answered to the first. That is
    /// what a repeated request wants, and silent loss for any other: so the same request may go out again, another not.
    pub(crate) fn key(&self, part: Option<&str>, request: &[&[u8]]) -> Result<String, KeyTaken> {
        let key = match part {
            None => self.step_key.clone(),
            Some(part) => format!("{}:{part}", self.step_key),
        };
        let mut digest = Sha256::new();
        for piece in request {
            digest.update(piece.len().to_le_bytes());
            digest.update(piece);
        }
        let request: [u8; 32] = digest.finalize().into();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        match sent.get(&key) {
            Some(before) if *before != request => Err(KeyTaken),
            _ => {
                sent.insert(key.clone(), request);
                Ok(key)
            }
        }
    }
}

/// Runs one attempt of `step`, so that its calls know whose they are.
pub(super) async fn within<F: Future>(step: &TaskSequenceStep, attempt: F) -> F::Output {
    WRITES.scope(Arc::new(Writes::of(StepContext::new(step))), attempt).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::create_test_step_data;

    #[test]
    fn one_key_never_goes_out_with_two_requests() {
        let step = create_test_step_data(json!({}));
        let writes = Writes::of(StepContext::new(&step));
        let first = writes.key(None, &[b"POST", b"/a", b"1"]).expect("nothing went out before");
        assert_eq!(first, StepContext::new(&step).idempotency_key());
        assert_eq!(writes.key(None, &[b"POST", b"/a", b"1"]), Ok(first.clone()), "the same one again");
        assert_eq!(writes.key(None, &[b"POST", b"/a", b"2"]), Err(KeyTaken));
        assert_eq!(writes.key(None, &[b"POST", b"/a1", b""]), Err(KeyTaken), "pieces are told apart");
        assert_eq!(writes.key(Some("mail"), &[b"POST", b"/a", b"2"]), Ok(format!("{first}:mail")));
    }

    #[tokio::test]
    async fn the_current_attempt_is_known_within_it_only() {
        let step = create_test_step_data(json!({}));
        assert!(Writes::current().is_none());
        let key = within(&step, async { Writes::current().map(|writes| writes.step_key.clone()) }).await;
        assert_eq!(key, Some(StepContext::new(&step).idempotency_key()));
        assert!(Writes::current().is_none());
    }
}
