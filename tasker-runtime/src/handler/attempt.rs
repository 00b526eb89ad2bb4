//! Runs one attempt, whatever the handler does: a panic or an error becomes a failure of the step.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tasker_types::{StepExecutionResult, TaskSequenceStep, error_types};
use uuid::Uuid;

use super::failure::unrecoverable;
use super::{Layer, Next, RustStepHandler};

/// Runs one attempt of `step` inside `layers`, the first outermost.
///
/// The result is always that of the step: a panic is a `handler_error` with the code `HANDLER_PANIC` that may be tried
/// again, and an `Err` a `handler_error` that may not, unless it carries a class of its own. Time limits are the
/// caller's: the future may be dropped at any point.
pub async fn run_attempt(
    handler: &dyn RustStepHandler,
    layers: &[Arc<dyn Layer>],
    step: &TaskSequenceStep,
) -> StepExecutionResult {
    #[cfg(feature = "http")]
    return super::writes::within(step, run_in_layers(handler, layers, step)).await;
    #[cfg(not(feature = "http"))]
    run_in_layers(handler, layers, step).await
}

async fn run_in_layers(
    handler: &dyn RustStepHandler,
    layers: &[Arc<dyn Layer>],
    step: &TaskSequenceStep,
) -> StepExecutionResult {
    if layers.is_empty() {
        return call_handler(handler, step).await;
    }
    let attempt = Next::new(handler, layers, step);
    let caught = catch_panic(|| Box::pin(attempt.run())).await;
    caught.unwrap_or_else(|panic| panicked(step.workflow_step.workflow_step_uuid, "a layer around it", panic.as_ref()))
}

/// Calls the handler itself.
pub(super) async fn call_handler(handler: &dyn RustStepHandler, step: &TaskSequenceStep) -> StepExecutionResult {
    let step_uuid = step.workflow_step.workflow_step_uuid;
    match catch_panic(|| handler.call(step)).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => unrecoverable(step_uuid, error),
        Err(panic) => panicked(step_uuid, "the handler", panic.as_ref()),
    }
}

type Panic = Box<dyn Any + Send>;

/// Runs a future and catches a panic while it is made, at each poll, and when it is dropped.
async fn catch_panic<'f, T>(make: impl FnOnce() -> Pin<Box<dyn Future<Output = T> + Send + 'f>>) -> Result<T, Panic> {
    // Unwind safety: after a panic nothing of the future is looked at again, it is only dropped; what a handler
    // shares with others (its own fields, the application's state) is behind locks or atomics of the author's choice.
    let mut future = Some(catch_unwind(AssertUnwindSafe(make))?);
    let outcome = poll_fn(|cx| {
        let Some(running) = future.as_mut() else {
            return Poll::Pending;
        };
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(future.take())));
    outcome.and_then(|value| dropped.map(|()| value))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cold]
fn panicked(step_uuid: Uuid, who: &str, panic: &(dyn Any + Send)) -> StepExecutionResult {
    let text = panic_text(panic);
    StepExecutionResult::failure(step_uuid, format!("{who} panicked: {text}"), error_types::HANDLER_ERROR, true)
        .with_error_code("HANDLER_PANIC")
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::handler::StepHandlerConfig;
    use crate::testing::create_test_step_data;

    /// Does what the task's context says.
    struct Obedient;

    #[async_trait]
    impl RustStepHandler for Obedient {
        fn new(_: StepHandlerConfig) -> Self {
            Self
        }

        fn name(&self) -> &str {
            "obedient"
        }

        async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
            let order: String = step.get_input("do")?;
            match order.as_str() {
                "panic" => panic!("ouch {}", 7),
                "panic later" => {
                    tokio::task::yield_now().await;
                    panic!("late");
                }
                "fail" => bail!("it broke"),
                _ => Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(order), None)),
            }
        }
    }

    /// Panics before there is a future.
    struct Eager;

    impl RustStepHandler for Eager {
        fn new(_: StepHandlerConfig) -> Self {
            Self
        }

        fn name(&self) -> &str {
            "eager"
        }

        fn call<'h, 's, 'f>(
            &'h self,
            _: &'s TaskSequenceStep,
        ) -> Pin<Box<dyn Future<Output = anyhow::Result<StepExecutionResult>> + Send + 'f>>
        where
            'h: 'f,
            's: 'f,
        {
            panic!("too soon")
        }
    }

    struct Wrap(&'static str);

    #[async_trait]
    impl Layer for Wrap {
        async fn around(&self, _: &TaskSequenceStep, next: Next<'_>) -> StepExecutionResult {
            let mut result = next.run().await;
            result.result = json!([self.0, result.result]);
            result
        }
    }

    struct Broken;

    #[async_trait]
    impl Layer for Broken {
        async fn around(&self, _: &TaskSequenceStep, _: Next<'_>) -> StepExecutionResult {
            panic!("layer")
        }
    }

    async fn run(order: &str) -> StepExecutionResult {
        run_attempt(&Obedient, &[], &create_test_step_data(json!({ "do": order }))).await
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_that_may_be_tried_again() {
        for (order, text) in [("panic", "the handler panicked: ouch 7"), ("panic later", "the handler panicked: late")]
        {
            let failure = run(order).await;
            assert_eq!(failure.error_message.as_deref(), Some(text));
            assert_eq!(failure.error_code(), Some("HANDLER_PANIC"));
            assert_eq!(failure.error_type(), Some(error_types::HANDLER_ERROR));
            assert!(failure.metadata.retryable);
        }
    }

    #[tokio::test]
    async fn a_panic_before_the_first_poll_is_caught_too() {
        let failure = run_attempt(&Eager, &[], &create_test_step_data(json!({}))).await;
        assert_eq!(failure.error_message.as_deref(), Some("the handler panicked: too soon"));
    }

    #[tokio::test]
    async fn an_error_is_unrecoverable() {
        let failure = run("fail").await;
        assert_eq!(failure.error_message.as_deref(), Some("it broke"));
        assert!(!failure.metadata.retryable);
    }

    #[tokio::test]
    async fn the_first_layer_is_the_outermost_and_sees_panics_as_results() {
        let layers: [Arc<dyn Layer>; 2] = [Arc::new(Wrap("a")), Arc::new(Wrap("b"))];
        let step = create_test_step_data(json!({ "do": "x" }));
        assert_eq!(run_attempt(&Obedient, &layers, &step).await.result, json!(["a", ["b", "x"]]));
        let step = create_test_step_data(json!({ "do": "panic" }));
        let failure = run_attempt(&Obedient, &layers, &step).await;
        assert_eq!((failure.error_code(), &failure.result), (Some("HANDLER_PANIC"), &json!(["a", ["b", null]])));
    }

    #[tokio::test]
    async fn a_panicking_layer_fails_the_attempt_only() {
        let layers: [Arc<dyn Layer>; 1] = [Arc::new(Broken)];
        let failure = run_attempt(&Obedient, &layers, &create_test_step_data(json!({ "do": "x" }))).await;
        assert_eq!(failure.error_message.as_deref(), Some("a layer around it panicked: layer"));
    }
}
