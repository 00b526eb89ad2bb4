//! Handlers that call another service, in each form that a handler can have.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tasker::testing::{TestStep, create_test_step_data};
use tasker::{
    ApiError, ApiHandler, RustStepHandlerRegistry, StepContext, StepError, StepExecutionResult, StepFailure,
    StepHandlerConfig, TaskSequenceStep, error_result, step_handler, success_result,
};

use super::{failure, run, run_with};

/// A service that answers each request with one of these, and 500 to a write without a key.
fn service(answers: &'static [(&str, &str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    thread::spawn(move || {
        for ((head, body), stream) in answers.iter().zip(listener.incoming().flatten()) {
            let mut reader = BufReader::new(&stream);
            let lines = reader.by_ref().lines().map(|line| line.expect("it is text").to_ascii_lowercase());
            let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            // Bytes that nobody has read would make a reset of the close.
            reader.read_exact(&mut vec![0; length.unwrap_or(0)]).expect("the client sends its body");
            let is_safe =
                lines[0].starts_with("get ") || lines.iter().any(|line| line.starts_with("idempotency-key: "));
            let head = if is_safe { head } else { "500 A write without a key" };
            let length = body.len();
            write!(&stream, "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
                .expect("the client is there");
        }
    });
    url
}

const BUSY: (&str, &str) = ("503 Busy\r\nretry-after: 2", "");
const GONE: (&str, &str) = ("404 Not Found", "");
const RECEIPT: (&str, &str) = ("200 OK", r#"{"receipt":"R-1"}"#);

fn api(answers: &'static [(&str, &str)]) -> ApiHandler {
    ApiHandler::new(service(answers)).expect("it is an address")
}

#[derive(Debug, serde::Serialize, serde::Deserialize, PartialEq)]
struct Receipt {
    receipt: String,
}

#[step_handler]
async fn charge_by_state(#[input] cents: u64, #[state] api: &ApiHandler) -> Result<Receipt, StepError> {
    Ok(api.post("/charges", &json!({ "cents": cents })).await?.json()?)
}

#[tokio::test]
async fn a_handler_takes_the_api_as_state_and_an_error_is_its_failure() {
    let step = TestStep::new(json!({ "cents": 5 })).state(api(&[BUSY, GONE, RECEIPT])).build();
    let result = run("charge_by_state", &step).await;
    let (text, error_type, is_retryable) = failure(&result);
    assert!(text.ends_with("/charges: 503 Service Unavailable"), "{text}");
    assert_eq!((error_type, is_retryable), ("retryable_error", true));
    assert_eq!((result.error_code(), result.metadata.retry_after_ms), (Some("HTTP_503"), Some(2_000)));
    let result = run("charge_by_state", &step).await;
    assert_eq!((result.error_code(), result.metadata.retryable), (Some("HTTP_404"), false));
    assert_eq!(run("charge_by_state", &step).await.result, json!({ "receipt": "R-1" }));
}

#[tokio::test]
async fn a_handler_that_calls_a_service_is_still_a_function() {
    let step = create_test_step_data(json!({}));
    let api = api(&[RECEIPT]).for_step(StepContext::new(&step));
    assert_eq!(charge_by_state(5, &api).await, Ok(Receipt { receipt: "R-1".to_owned() }));
}

struct ChargeByTemplate {
    api: ApiHandler,
}

#[step_handler]
impl ChargeByTemplate {
    fn new(config: &StepHandlerConfig) -> Result<Self, ApiError> {
        Ok(Self { api: ApiHandler::from_config(config)? })
    }

    async fn call(&self, #[input] cents: u64) -> Result<Receipt, ApiError> {
        self.api.put("/charges/7", &json!({ "cents": cents })).await?.json()
    }
}

#[tokio::test]
async fn a_handler_holds_the_api_that_its_template_names() {
    let step = create_test_step_data(json!({ "cents": 5 }));
    let config = json!({ "base_url": service(&[BUSY, RECEIPT]) });
    let result = run_with("charge_by_template", config.clone(), &step).await;
    assert_eq!((result.error_code(), result.metadata.retry_after_ms), (Some("HTTP_503"), Some(2_000)));
    assert_eq!(run_with("charge_by_template", config, &step).await.result, json!({ "receipt": "R-1" }));
    let found = RustStepHandlerRegistry::new().find("charge_by_template", "").expect("it is linked");
    let error = found.build(json!({ "base_url": "pay.example" }).into()).err().expect("that is no address");
    assert_eq!(error.to_string(), "`base_url` cannot be used: it is no URL: relative URL without a base");
}

/// As the documents of an older engine classify: by the status.
#[step_handler]
async fn charge_raw(step: &TaskSequenceStep, #[state] api: &ApiHandler) -> anyhow::Result<StepExecutionResult> {
    let uuid = step.workflow_step.workflow_step_uuid;
    let error = match api.delete("/charges/7").await {
        Ok(answer) => return Ok(success_result(uuid, answer.json()?, 0, None)),
        Err(error) => error,
    };
    let Some(status) = error.status() else { return Ok(error.into_result(uuid)) };
    let error_type = ApiHandler::classify_error(status).to_owned();
    let is_retryable = ApiHandler::is_retryable(status);
    Ok(error_result(uuid, "no charge".to_owned(), None, Some(error_type), is_retryable, 0, None))
}

#[tokio::test]
async fn a_raw_handler_classifies_by_the_status() {
    let step = TestStep::new(json!({})).state(api(&[BUSY, GONE, RECEIPT])).build();
    assert_eq!(failure(&run("charge_raw", &step).await), ("no charge", "retryable_error", true));
    assert_eq!(failure(&run("charge_raw", &step).await), ("no charge", "permanent_error", false));
    assert_eq!(run("charge_raw", &step).await.result, json!({ "receipt": "R-1" }));
}

#[derive(Debug, thiserror::Error, StepFailure)]
enum ChargeError {
    #[error("cannot charge")]
    #[step(transparent)]
    Api(#[from] ApiError),
    #[error("nothing to charge")]
    #[step(permanent)]
    Nothing,
}

#[step_handler]
async fn charge_by_enum(#[input] cents: u64, #[state] api: &ApiHandler) -> Result<Value, ChargeError> {
    if cents == 0 {
        return Err(ChargeError::Nothing);
    }
    Ok(api.patch("/charges/7", &json!({ "cents": cents })).await?.json()?)
}

#[tokio::test]
async fn an_applications_own_error_is_what_the_call_says() {
    let step = TestStep::new(json!({ "cents": 5 })).state(api(&[BUSY])).build();
    let result = run("charge_by_enum", &step).await;
    let text = failure(&result).0;
    assert!(text.starts_with("cannot charge: PATCH http://127.0.0.1:"), "{text}");
    assert_eq!(text.matches("503").count(), 1, "each cause is said once: {text}");
    assert_eq!(result.error_code(), Some("HTTP_503"));
    assert_eq!(result.metadata.retry_after_ms.map(Duration::from_millis), Some(Duration::from_secs(2)));
    let nothing = TestStep::new(json!({ "cents": 0 })).state(api(&[])).build();
    assert_eq!(run("charge_by_enum", &nothing).await.error_code(), Some("NOTHING"));
}
