//! Connections that are not there, break, or are slow.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use tasker_runtime::handler::StepHandlerConfig;
use tasker_runtime::http::{ApiErrorKind, ApiHandler};

use crate::server::{Does, Service, answer};
use crate::{class, error};

const TIMEOUT: (&str, &str, bool, Option<Duration>) = ("HTTP_TIMEOUT", "timeout", true, None);
/// Far below the service's own patience, and the 30 s that a call has if nothing is set.
const SOON: Duration = Duration::from_secs(10);

fn impatient(service: &Service) -> ApiHandler {
    ApiHandler::builder(service.url()).timeout(Duration::from_millis(100)).build().unwrap()
}

#[tokio::test]
async fn nobody_listens_at_that_address() {
    // The port was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let error = error(ApiHandler::new(format!("http://{address}")).unwrap().get("/").await);
    assert_eq!(class(&error), ("HTTP_CONNECT", "retryable_error", true, None));
    assert_eq!(error.kind(), &ApiErrorKind::Connect);
    assert!(error.to_string().contains("no connection: "), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_reset_is_lost() {
    let service = Service::start([Does::Resets]);
    let error = error(ApiHandler::new(service.url()).unwrap().get("/").await);
    assert_eq!(class(&error), ("HTTP_CONNECTION_LOST", "retryable_error", true, None));
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_lost() {
    for half in ["", "HTTP/1.1 200 OK\r\ncontent-le", "SSH-2.0-OpenSSH_9.6\r\n"] {
        let service = Service::start([Does::Sends(half.to_owned())]);
        let error = error(ApiHandler::new(service.url()).unwrap().get("/").await);
        assert_eq!(class(&error), ("HTTP_CONNECTION_LOST", "retryable_error", true, None), "{half}");
    }
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let service = Service::start([Does::Holds(String::new())]);
    let began = Instant::now();
    let error = error(impatient(&service).get("/").await);
    assert_eq!(class(&error), TIMEOUT);
    assert!(began.elapsed() < SOON);
}

#[tokio::test]
async fn half_an_answer_in_time_is_a_timeout_too() {
    let service = Service::start([Does::Holds("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"id\"".to_owned())]);
    assert_eq!(class(&error(impatient(&service).get("/").await)), TIMEOUT);
}

#[tokio::test]
async fn an_error_whose_body_never_ends_keeps_its_status() {
    let service =
        Service::start([Does::Holds("HTTP/1.1 503 Busy\r\nretry-after: 3\r\ncontent-length: 10\r\n\r\n{".to_owned())]);
    let error = error(impatient(&service).get("/").await);
    assert_eq!(class(&error), ("HTTP_503", "retryable_error", true, Some(Duration::from_secs(3))));
}

#[tokio::test]
async fn a_template_names_the_service_and_its_limits() {
    let service = Service::start([answer("200 OK", "", "12345678"), Does::Holds(String::new())]);
    let config = json!({ "base_url": format!("{}/v1", service.url()), "timeout_seconds": 1, "response_max_bytes": 8, "more": 1 });
    let api = ApiHandler::from_config(&StepHandlerConfig::from(config)).unwrap();
    assert_eq!(api.get("/orders").await.unwrap().json::<u64>().unwrap(), 12_345_678);
    assert_eq!(service.asked().line, "GET /v1/orders");
    assert_eq!(class(&error(api.get("/orders").await)), TIMEOUT);
}

#[test]
fn settings_that_cannot_be_used_are_told_when_the_handler_is_made() {
    for (config, reason) in [
        (json!({}), "the handler's `initialization` has no `base_url`"),
        (json!({ "base_url": "pay.example" }), "`base_url` cannot be used: it is no URL: relative URL without a base"),
        (
            json!({ "base_url": "http://pay.example", "timeout_seconds": "long" }),
            "`timeout_seconds` of the handler's `initialization`: invalid type: string \"long\", expected u64",
        ),
    ] {
        let error = ApiHandler::from_config(&StepHandlerConfig::from(config)).unwrap_err();
        assert_eq!(class(&error), ("HTTP_SETTINGS", "handler_error", false, None));
        assert_eq!(error.to_string(), reason);
    }
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_not_sent() {
    let error = error(ApiHandler::new("http://127.0.0.1:9/v1").unwrap().get("/orders/../../admin").await);
    assert_eq!(class(&error), ("HTTP_SETTINGS", "handler_error", false, None));
    let wanted = "GET http://127.0.0.1:9/v1: the path cannot be used: it has a segment `.` or `..`";
    assert_eq!(error.to_string(), wanted);
}
