//! What goes around every attempt.

use std::time::Instant;

use async_trait::async_trait;
use tasker::{Layer, Next, StepExecutionResult, TaskSequenceStep};

/// Puts the time that an attempt took, and its number, beside its result.
#[derive(Debug)]
pub(crate) struct Stopwatch;

#[async_trait]
impl Layer for Stopwatch {
    async fn around(&self, step: &TaskSequenceStep, next: Next<'_>) -> StepExecutionResult {
        let began = Instant::now();
        let mut result = next.run().await;
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let beside = &mut result.metadata.custom;
        beside.insert("took_us".to_owned(), took.into());
        beside.insert("seen_attempt".to_owned(), step.workflow_step.attempt.into());
        tracing::info!(step = %step.workflow_step.name, took_us = took, success = result.success, "attempt ended");
        result
    }
}
