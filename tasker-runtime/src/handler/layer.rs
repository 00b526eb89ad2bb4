//! What an application puts around every attempt.

use std::sync::Arc;

use async_trait::async_trait;
use tasker_types::{StepExecutionResult, TaskSequenceStep};

use super::RustStepHandler;
use super::attempt::call_handler;

/// Something around every attempt: before it, after it, with the result in hand.
///
/// ```
/// use async_trait::async_trait;
/// use tasker_runtime::handler::{Layer, Next};
/// use tasker_types::{StepExecutionResult, TaskSequenceStep};
///
/// struct Stamp;
///
/// #[async_trait]
/// impl Layer for Stamp {
///     async fn around(&self, step: &TaskSequenceStep, next: Next<'_>) -> StepExecutionResult {
///         let mut result = next.run().await;
///         result.metadata.custom.insert("attempt".to_owned(), step.workflow_step.attempt.into());
///         result
///     }
/// }
/// ```
#[async_trait]
pub trait Layer: Send + Sync {
    /// Runs the attempt, or does not, and gives its result, or another.
    async fn around(&self, step: &TaskSequenceStep, next: Next<'_>) -> StepExecutionResult;
}

/// What is inside a layer: further layers, and the handler.
pub struct Next<'a> {
    handler: &'a dyn RustStepHandler,
    layers: &'a [Arc<dyn Layer>],
    step: &'a TaskSequenceStep,
}

impl<'a> Next<'a> {
    pub(super) fn new(
        handler: &'a dyn RustStepHandler,
        layers: &'a [Arc<dyn Layer>],
        step: &'a TaskSequenceStep,
    ) -> Self {
        Self { handler, layers, step }
    }

    /// Runs what is inside.
    pub async fn run(self) -> StepExecutionResult {
        match self.layers.split_first() {
            Some((layer, layers)) => layer.around(self.step, Next { layers, ..self }).await,
            None => call_handler(self.handler, self.step).await,
        }
    }
}

impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next").field("handler", &self.handler.name()).field("layers", &self.layers.len()).finish()
    }
}
