//! What becomes of errors and panics.

use std::error::Error;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tasker::testing::create_test_step_data;
use tasker::{
    Classify, RustStepHandlerRegistry, StepError, StepExecutionResult, StepFailure, TaskSequenceStep, error_result,
    error_types, step_handler,
};

use super::{failure, run};

#[derive(Debug, thiserror::Error, StepFailure)]
enum OrderError {
    #[error("order has no items")]
    #[step(permanent)]
    EmptyOrder,
    #[error("{sku} is sold out")]
    #[step(retryable, code = "SOLD_OUT", error_type = "timeout", retry_after = "2s")]
    OutOfStock { sku: String },
    #[error("cannot charge")]
    #[step(transparent)]
    Gateway(#[source] StepError),
    #[error("disk")]
    #[step(retryable)]
    Disk(#[from] std::io::Error),
}

#[step_handler]
async fn fails_by_enum(#[input] how: u8) -> Result<u8, OrderError> {
    match how {
        0 => Err(OrderError::EmptyOrder),
        1 => Err(OrderError::OutOfStock { sku: "AB-1".to_owned() }),
        2 => Err(OrderError::Gateway(StepError::permanent("card stolen").with_code("STOLEN"))),
        3 => Err(std::io::Error::other("no space left"))?,
        how => Ok(how),
    }
}

async fn how(name: &str, how: impl Into<Value>) -> StepExecutionResult {
    run(name, &create_test_step_data(json!({ "how": how.into() }))).await
}

#[tokio::test]
async fn a_derived_error_says_class_code_and_type() {
    let result = how("fails_by_enum", 0).await;
    assert_eq!(failure(&result), ("order has no items", "permanent_error", false));
    assert_eq!(result.error_code(), Some("EMPTY_ORDER"));
    let result = how("fails_by_enum", 1).await;
    assert_eq!(failure(&result), ("AB-1 is sold out", "timeout", true));
    assert_eq!((result.error_code(), result.metadata.retry_after_ms), (Some("SOLD_OUT"), Some(2_000)));
    assert_eq!(how("fails_by_enum", 9).await.result, json!(9));
}

#[tokio::test]
async fn a_transparent_error_is_what_is_inside_with_its_own_words() {
    let result = how("fails_by_enum", 2).await;
    assert_eq!(failure(&result), ("cannot charge: card stolen", "permanent_error", false));
    assert_eq!(result.error_code(), Some("STOLEN"));
}

#[tokio::test]
async fn causes_are_part_of_the_message() {
    let result = how("fails_by_enum", 3).await;
    assert_eq!(failure(&result), ("disk: no space left", "retryable_error", true));
    assert_eq!(result.error_code(), Some("DISK"));
}

#[step_handler]
async fn fails_by_anyhow(#[input] how: &str) -> anyhow::Result<u8> {
    match how {
        "plain" => bail!("gateway closed the connection"),
        "context" => Err(anyhow!("refused")).context("cannot charge"),
        "bail" => bail!(StepError::permanent("card stolen").with_code("STOLEN")),
        "permanent" => Ok("many".parse().permanent()?),
        "retryable" => Ok("many".parse().retryable()?),
        "later" => bail!(StepError::retryable("busy").with_retry_after(Duration::from_secs(3))),
        _ => Ok(1),
    }
}

#[tokio::test]
async fn a_typed_handlers_error_may_be_tried_again_unless_it_says_otherwise() {
    assert_eq!(
        failure(&how("fails_by_anyhow", "plain").await),
        ("gateway closed the connection", "retryable_error", true)
    );
    assert_eq!(failure(&how("fails_by_anyhow", "context").await), ("cannot charge: refused", "retryable_error", true));
    let stolen = how("fails_by_anyhow", "bail").await;
    assert_eq!(failure(&stolen), ("card stolen", "permanent_error", false));
    assert_eq!(stolen.error_code(), Some("STOLEN"));
    assert_eq!(how("fails_by_anyhow", "later").await.metadata.retry_after_ms, Some(3_000));
}

#[tokio::test]
async fn any_error_can_be_classified_where_it_happens() {
    let text = "invalid digit found in string";
    assert_eq!(failure(&how("fails_by_anyhow", "permanent").await), (text, "permanent_error", false));
    assert_eq!(failure(&how("fails_by_anyhow", "retryable").await), (text, "retryable_error", true));
}

#[step_handler]
async fn fails_by_box(#[input] how: bool) -> Result<u8, Box<dyn Error + Send + Sync>> {
    if how { Err(StepError::permanent("no").into()) } else { Err("text".into()) }
}

#[tokio::test]
async fn boxed_errors_are_errors_too() {
    assert_eq!(failure(&how("fails_by_box", true).await), ("no", "permanent_error", false));
    assert_eq!(failure(&how("fails_by_box", false).await), ("text", "retryable_error", true));
}

#[step_handler]
async fn fails_raw(step: &TaskSequenceStep, #[input] how: &str) -> anyhow::Result<StepExecutionResult> {
    let uuid = step.workflow_step.workflow_step_uuid;
    match how {
        "err" => bail!("Fatal system error"),
        "class" => bail!(StepError::retryable("busy")),
        "data" => Ok(StepExecutionResult::success(uuid, step.get_input::<i64>("nothing")?.into(), None)),
        "result" => Ok(error_result(uuid, "timeout".to_owned(), Some("T".to_owned()), None, true, 5, None)),
        _ => Ok(StepExecutionResult::success(uuid, json!(how), None)),
    }
}

#[tokio::test]
async fn a_raw_handlers_err_is_unrecoverable() {
    assert_eq!(failure(&how("fails_raw", "err").await), ("Fatal system error", error_types::HANDLER_ERROR, false));
}

#[tokio::test]
async fn a_raw_handler_classifies_by_results_or_by_the_errors_own_class() {
    let result = how("fails_raw", "result").await;
    assert_eq!(failure(&result), ("timeout", error_types::RETRYABLE_ERROR, true));
    assert_eq!((result.error_code(), result.metadata.execution_time_ms), (Some("T"), 5));
    assert_eq!(failure(&how("fails_raw", "class").await), ("busy", "retryable_error", true));
    let missing = how("fails_raw", "data").await;
    assert_eq!(failure(&missing), ("the task's context has no `nothing`", error_types::VALIDATION_ERROR, false));
    assert_eq!(how("fails_raw", "done").await.result, json!("done"));
}

#[step_handler]
async fn asks_for_a_delay(step: &TaskSequenceStep, #[input] how: &str) -> StepExecutionResult {
    let uuid = step.workflow_step.workflow_step_uuid;
    match how {
        "method" => StepExecutionResult::failure(uuid, "busy", error_types::RETRYABLE_ERROR, true)
            .with_retry_after(Duration::from_secs(3)),
        "key" => {
            let metadata = [("backoff_request_seconds".to_owned(), json!(3))].into();
            error_result(uuid, "busy".to_owned(), None, None, true, 5, Some(metadata))
        }
        _ => StepExecutionResult::failure(uuid, "busy", error_types::RETRYABLE_ERROR, true),
    }
}

#[tokio::test]
async fn a_raw_handler_asks_for_a_delay_by_the_method_or_by_the_older_key() {
    let app = tasker::testing::TestApp::with_handlers(RustStepHandlerRegistry::new()).template(
        "name: t\nsteps: [{name: asks_for_a_delay, retry: {max_attempts: 2, backoff: linear, backoff_base_ms: 1, max_backoff_ms: 60000}}]",
    );
    for (how, at_least) in [("method", 3), ("key", 3), ("neither", 0)] {
        let run = app.run("t", json!({ "how": how })).await;
        let delays = run.delays("asks_for_a_delay");
        let is_so = |delay: &Duration| delay.as_secs() == at_least;
        assert!(delays.len() == 1 && delays.iter().all(is_so), "{how}: {delays:?}");
    }
}

#[step_handler]
async fn panics(#[input] how: &str) -> u8 {
    tokio::task::yield_now().await;
    panic!("it was {how}");
}

#[tokio::test]
async fn a_panic_is_a_failure_that_may_be_tried_again() {
    let result = how("panics", "odd").await;
    assert_eq!(failure(&result), ("the handler panicked: it was odd", error_types::HANDLER_ERROR, true));
    assert_eq!(result.error_code(), Some("HANDLER_PANIC"));
}

type Answer = Result<u8, StepError>;

#[step_handler]
async fn fails_by_alias(#[input] how: bool) -> Answer {
    if how { Err(StepError::permanent("no")) } else { Ok(4) }
}

#[tokio::test]
async fn a_result_by_another_name_is_a_result() {
    assert_eq!(failure(&how("fails_by_alias", true).await).0, "no");
    assert_eq!(how("fails_by_alias", false).await.result, json!(4));
}

#[step_handler]
async fn nothing() {}

#[step_handler]
async fn finished(step: &TaskSequenceStep) -> StepExecutionResult {
    StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!("as it is"), None)
}

#[step_handler]
async fn maybe() -> Option<u8> {
    None
}

#[step_handler]
async fn not_json() -> std::collections::HashMap<(u8, u8), u8> {
    [((1, 2), 3)].into()
}

#[tokio::test]
async fn every_return_type_is_a_result_of_the_step() {
    assert_eq!(how("nothing", 0).await.result, Value::Null);
    assert!(how("nothing", 0).await.success);
    assert_eq!(how("finished", 0).await.result, json!("as it is"));
    assert_eq!(how("maybe", 0).await.result, Value::Null);
    let result = how("not_json", 0).await;
    let text = "the result cannot be written as JSON: key must be a string";
    assert_eq!(failure(&result), (text, error_types::HANDLER_ERROR, false));
}
