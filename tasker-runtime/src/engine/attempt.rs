//! One attempt: the handler inside its layers, its time limit, and the word that its task was cancelled.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tasker_types::{DependencyResult, StepExecutionResult, TaskId, TaskSequenceStep, error_types};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::limits;
use super::publish::{HandlerIsOver, Publication, publish};
use super::schemas::Schema;
use crate::core::{Detail, Failure, Finish, Outcome, Pinned, Published, StepRef, chosen, cut};
use crate::handler::{Layer, RustStepHandler, run_attempt};
use crate::plant::{Bug, planted};

/// An attempt that is about to run.
pub(super) struct Attempt {
    pub(super) step: StepRef,
    pub(super) attempt: u32,
    pub(super) worker: tasker_types::WorkerId,
    pub(super) data: TaskSequenceStep,
    /// Its template, where its result says what becomes of the steps after it.
    pub(super) reads: Option<Arc<Pinned>>,
    /// What its result must fit, where its template says so.
    pub(super) schema: Option<Arc<Schema>>,
    pub(super) handler: Arc<dyn RustStepHandler>,
    pub(super) layers: Arc<[Arc<dyn Layer>]>,
    /// Its events that have publishers.
    pub(super) publications: Vec<Publication>,
    pub(super) handler_is_over: Option<HandlerIsOver>,
    pub(super) token: CancellationToken,
    pub(super) timeout: Duration,
    pub(super) grace: Duration,
}

/// An attempt that came to its end.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) finish: Finish,
    /// The value, kept for the steps that come after.
    pub(super) value: Option<Arc<DependencyResult>>,
}

impl Attempt {
    /// Runs to the end. Dropping the future drops the handler where it stands.
    pub(super) async fn run(self) -> Finished {
        // The handler comes first: one that is done at its first poll needs no timer.
        let result = tokio::select! {
            biased;
            result = run_attempt(&*self.handler, &self.layers, &self.data) => Ok(result),
            () = tokio::time::sleep(self.timeout), if !planted(Bug::TimeLimitIgnored) => Err(timed_out(self.step, self.attempt, self.timeout)),
            () = cancelled(&self.token, self.grace) => Err(Outcome::Cancelled),
        };
        if let Some(over) = &self.handler_is_over {
            over.store(true, Ordering::Relaxed);
        }
        let (outcome, value) = match result {
            Ok(result) if !result.success && self.token.is_cancelled() => (Outcome::Cancelled, None),
            Ok(result) => self.outcome_of(result),
            Err(outcome) => (outcome, None),
        };
        let published = if self.publications.is_empty() {
            Published::default()
        } else {
            publish(&self.publications, &self.data, &outcome).await
        };
        let finish = Finish { step: self.step, attempt: self.attempt, worker: self.worker, outcome, published };
        Finished { finish, value }
    }
}

impl Attempt {
    /// What is recorded of a result.
    fn outcome_of(&self, result: StepExecutionResult) -> (Outcome, Option<Arc<DependencyResult>>) {
        let (outcome, value) = outcome_of(self.step, self.attempt, result);
        if let (Some(schema), Some(read)) = (&self.schema, &value)
            && let Some(misfits) = schema.misfits(&read.result)
        {
            let reason = format!("the result does not fit the step's `result_schema`: {misfits}");
            return (permanent(self.step, self.attempt, &reason, "BAD_RESULT"), None);
        }
        let (Some(pinned), Outcome::Completed { result, detail }, Some(read)) = (&self.reads, &outcome, &value) else {
            return (outcome, value);
        };
        if pinned.step(self.step.number).makes_batches() {
            return match cut(pinned, self.step.number, &read.result) {
                Ok(workers) => (Outcome::Cut { result: result.clone(), detail: detail.clone(), workers }, value),
                Err(reason) => (permanent(self.step, self.attempt, &reason, "BAD_BATCHES"), None),
            };
        }
        match chosen(pinned, self.step.number, &read.result) {
            Ok(chosen) => (Outcome::Decided { result: result.clone(), detail: detail.clone(), chosen }, value),
            Err(reason) => (permanent(self.step, self.attempt, &reason, "BAD_DECISION"), None),
        }
    }
}

async fn cancelled(token: &CancellationToken, grace: Duration) {
    token.cancelled().await;
    tokio::time::sleep(grace).await;
}

/// What is recorded of a result: refused here, on every store alike, where no store could keep it.
fn outcome_of(step: StepRef, attempt: u32, result: StepExecutionResult) -> (Outcome, Option<Arc<DependencyResult>>) {
    let StepExecutionResult { success, result: value, error_message, metadata, .. } = result;
    let mut detail = Detail {
        execution_time_ms: (metadata.execution_time_ms != 0).then_some(metadata.execution_time_ms),
        metadata: (!metadata.custom.is_empty())
            .then(|| metadata.custom.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ..Detail::default()
    };
    if let Some(reason) = detail.metadata.as_ref().and_then(|custom: &Value| limits::to_json(custom).err()) {
        detail.metadata.into_iter().chain([value]).for_each(limits::take_apart);
        return (unstorable(step, attempt, &format!("the metadata {reason}")), None);
    }
    if success {
        return match limits::to_json(&value) {
            Ok(text) => {
                let outcome = Outcome::Completed { result: text.into(), detail: detail.to_json() };
                (outcome, Some(Arc::new(DependencyResult { result: value })))
            }
            Err(reason) => {
                limits::take_apart(value);
                (unstorable(step, attempt, &format!("the result {reason}")), None)
            }
        };
    }
    limits::take_apart(value);
    let backoff =
        detail.metadata.as_ref().and_then(|custom| custom.get("backoff_request_seconds")).and_then(Value::as_f64);
    let asked = backoff.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    detail.message = Some(clean(error_message.unwrap_or_default()));
    detail.error_type = metadata.error_type.map(clean);
    detail.error_code = metadata.error_code.map(clean);
    detail.retryable = Some(metadata.retryable);
    let (error_type, error) = (detail.error_type.as_deref(), detail.message.as_deref());
    tracing::debug!(task = %step.task, step = %step.number, attempt, error_type, error, "an attempt failed");
    let failure = Failure {
        retryable: metadata.retryable,
        timed_out: false,
        retry_after: metadata.retry_after_ms.map(Duration::from_millis).max(asked),
        detail: stored(&detail),
        seed: seed(step, attempt),
    };
    (Outcome::Failed(failure), None)
}

/// An error's text, within the limits of what is stored.
fn clean(mut text: String) -> String {
    const BYTES_MAX: usize = 16 * 1024;
    if text.len() > BYTES_MAX {
        let end = text.floor_char_boundary(BYTES_MAX);
        text.truncate(end);
        text.push_str(" [cut]");
    }
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

pub(super) fn timed_out(step: StepRef, attempt: u32, limit: Duration) -> Outcome {
    let detail = Detail {
        message: Some(format!("the attempt took longer than {limit:?}")),
        error_type: Some(error_types::TIMEOUT.to_owned()),
        retryable: Some(true),
        ..Detail::default()
    };
    Outcome::Failed(Failure {
        retryable: true,
        timed_out: true,
        retry_after: None,
        detail: stored(&detail),
        seed: seed(step, attempt),
    })
}

/// A failure that no other try can mend: what came out cannot be kept.
pub(super) fn unstorable(step: StepRef, attempt: u32, reason: &str) -> Outcome {
    permanent(step, attempt, reason, "RESULT_NOT_STORABLE")
}

/// A failure of the handler that no other try can mend.
pub(super) fn permanent(step: StepRef, attempt: u32, reason: &str, code: &str) -> Outcome {
    failed(step, attempt, reason, error_types::HANDLER_ERROR, code)
}

/// A failure that no other try can mend: what the step is given does not fit.
pub(super) fn invalid(step: StepRef, attempt: u32, reason: &str, code: &str) -> Outcome {
    failed(step, attempt, reason, error_types::VALIDATION_ERROR, code)
}

fn failed(step: StepRef, attempt: u32, reason: &str, error_type: &str, code: &str) -> Outcome {
    let detail = Detail {
        message: Some(clean(reason.to_owned())),
        error_type: Some(error_type.to_owned()),
        error_code: Some(code.to_owned()),
        retryable: Some(false),
        ..Detail::default()
    };
    Outcome::Failed(Failure {
        retryable: false,
        timed_out: false,
        retry_after: None,
        detail: stored(&detail),
        seed: seed(step, attempt),
    })
}

fn stored(detail: &Detail) -> Arc<str> {
    detail.to_json().unwrap_or_else(|| "{}".into())
}

/// Where the jitter of this attempt's backoff comes from: its own identity, so that no two attempts wait in step.
fn seed(step: StepRef, attempt: u32) -> u64 {
    let StepRef { task, number } = step;
    let (high, low) = Uuid::as_u64_pair(&TaskId::step_uuid(task, number));
    (high.rotate_left(17) ^ low).wrapping_add(u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
