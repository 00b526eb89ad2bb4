//! Writes carry the step's key: the same one at every attempt, and never the same one for two requests.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tasker_runtime::handler::{AppState, AttemptScope, RustStepHandler, StepContext, StepHandlerConfig, run_attempt};
use tasker_runtime::http::ApiHandler;
use tasker_runtime::testing::{TestStep, create_test_step_data};
use tasker_types::{StepExecutionResult, TaskSequenceStep, success_result};

use crate::class;
use crate::server::{Service, answer};

/// Calls what the task's context says, in that order: `[method, path, part]`.
struct Caller(ApiHandler);

#[async_trait]
impl RustStepHandler for Caller {
    fn new(config: StepHandlerConfig) -> Self {
        Self(ApiHandler::from_config(&config).unwrap())
    }

    fn name(&self) -> &str {
        "caller"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let uuid = step.workflow_step.workflow_step_uuid;
        for (method, path, part) in step.get_input::<Vec<(String, String, Option<String>)>>("calls")? {
            let api = part.map_or_else(|| self.0.clone(), |part| self.0.part(part));
            let body = json!({ "path": path });
            let answer = match method.as_str() {
                "GET" => api.get(&path).await,
                "POST" => api.post(&path, &body).await,
                "PUT" => api.put(&path, &body).await,
                "PATCH" => api.patch(&path, &body).await,
                _ => api.delete(&path).await,
            };
            if let Err(error) = answer {
                return Ok(error.into_result(uuid));
            }
        }
        Ok(success_result(uuid, Value::Null, 0, None))
    }
}

fn calls(calls: Value, attempt: u32) -> TaskSequenceStep {
    TestStep::new(json!({ "calls": calls })).attempt(attempt).build()
}

fn always(times: usize) -> Service {
    Service::start((0..times).map(|_| answer("200 OK", "", "{}")))
}

#[tokio::test]
async fn every_write_carries_the_steps_key_and_a_read_carries_none() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET"] {
        let service = always(1);
        let step = calls(json!([[method, "/x", null]]), 1);
        let result = run_attempt(&Caller(ApiHandler::new(service.url()).unwrap()), &[], &step).await;
        assert!(result.success, "{result:?}");
        let key = StepContext::new(&step).idempotency_key();
        let asked = service.asked();
        assert_eq!(asked.line, format!("{method} /x"));
        assert_eq!(asked.header("idempotency-key"), (method != "GET").then_some(key.as_str()), "{method}");
        assert_eq!(asked.header("accept"), Some("application/json"));
        let has_body = !matches!(method, "GET" | "DELETE");
        assert_eq!(asked.header("content-type"), has_body.then_some("application/json"));
        assert_eq!(asked.body, if has_body { r#"{"path":"/x"}"# } else { "" });
    }
}

#[tokio::test]
async fn the_key_is_the_same_at_every_attempt_of_a_step() {
    let service = Service::start([answer("503 Busy", "", ""), answer("503 Busy", "", ""), answer("200 OK", "", "1")]);
    let handler = Caller(ApiHandler::new(service.url()).unwrap());
    let mut step = calls(json!([["POST", "/charges", null]]), 1);
    let mut keys = Vec::new();
    for attempt in 1..=3 {
        step.workflow_step.attempt = attempt;
        let result = run_attempt(&handler, &[], &step).await;
        assert_eq!(result.error_code(), (attempt < 3).then_some("HTTP_503"));
        keys.push(service.asked().header("idempotency-key").expect("it is a write").to_owned());
    }
    assert_eq!(keys, vec![StepContext::new(&step).idempotency_key(); 3]);
}

#[tokio::test]
async fn a_second_write_under_the_same_key_is_refused_before_it_is_sent() {
    let service = always(1);
    let step = calls(json!([["POST", "/charges", null], ["POST", "/mails", null]]), 1);
    let result = run_attempt(&Caller(ApiHandler::new(service.url()).unwrap()), &[], &step).await;
    assert_eq!((result.error_code(), result.error_type()), (Some("HTTP_KEY_TAKEN"), Some("handler_error")));
    assert!(!result.metadata.retryable);
    assert_eq!(service.asked().line, "POST /charges");
}

#[tokio::test]
async fn each_part_of_a_step_has_a_key_of_its_own_and_the_same_request_may_go_out_again() {
    let service = always(4);
    let calls_made =
        json!([["POST", "/a", "first"], ["POST", "/a", "second"], ["POST", "/b", null], ["POST", "/b", null]]);
    let step = calls(calls_made, 1);
    let result = run_attempt(&Caller(ApiHandler::new(service.url()).unwrap()), &[], &step).await;
    assert!(result.success, "{result:?}");
    let key = StepContext::new(&step).idempotency_key();
    let keys: Vec<String> =
        (0..4).filter_map(|_| service.asked().header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys, [format!("{key}:first"), format!("{key}:second"), key.clone(), key]);
}

#[tokio::test]
async fn a_call_in_a_task_of_its_own_is_told_its_step() {
    let service = always(2);
    let api = ApiHandler::new(service.url()).unwrap();
    let step = create_test_step_data(json!({}));
    let bound = api.for_step(StepContext::new(&step));
    tokio::spawn(async move { bound.post("/x", &json!({})).await }).await.unwrap().unwrap();
    assert_eq!(service.asked().header("idempotency-key"), Some(StepContext::new(&step).idempotency_key().as_str()));
    // A test that calls a handler as the function it is has no step.
    api.post("/x", &json!({})).await.unwrap();
    assert_eq!(service.asked().header("idempotency-key"), None);
}

#[tokio::test]
async fn a_part_that_no_header_may_have_is_not_sent() {
    let step = create_test_step_data(json!({}));
    let api = ApiHandler::new("http://127.0.0.1:9").unwrap().for_step(StepContext::new(&step)).part("a\r\nb");
    assert_eq!(class(&api.delete("/x").await.unwrap_err()), ("HTTP_SETTINGS", "handler_error", false, None));
}

/// Keeps what `anyhow` and `?` make of an error.
struct Shared;

#[async_trait]
impl RustStepHandler for Shared {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "shared"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        use anyhow::Context as _;
        let state = AttemptScope::of(step).context("it is an attempt")?;
        let api = state.state.get::<ApiHandler>().context("it was put in")?;
        let answer = api.post("/charges", &json!({ "cents": 5 })).await.context("cannot charge")?;
        Ok(success_result(step.workflow_step.workflow_step_uuid, answer.json()?, 0, None))
    }
}

#[tokio::test]
async fn a_raw_handler_keeps_the_class_through_anyhow() {
    let service = Service::start([answer("429 Slow down", "retry-after: 2\r\n", ""), answer("200 OK", "", "<html>")]);
    let state = AppState::default().with(ApiHandler::new(service.url()).unwrap());
    let mut step = create_test_step_data(json!({}));
    step.scope = AttemptScope::new(Arc::new(state), Default::default()).into_scope();
    let failure = run_attempt(&Shared, &[], &step).await;
    assert_eq!((failure.error_code(), failure.error_type()), (Some("HTTP_429"), Some("retryable_error")));
    assert_eq!((failure.metadata.retryable, failure.metadata.retry_after_ms), (true, Some(2_000)));
    let text = format!("cannot charge: POST {}/charges: 429 Too Many Requests", service.url());
    assert_eq!(failure.error_message, Some(text), "each cause is said once");
    let failure = run_attempt(&Shared, &[], &step).await;
    assert_eq!((failure.error_code(), failure.metadata.retryable), (Some("HTTP_BODY_NOT_JSON"), false));
}
