//! Answers that are complete: their status, and when they want to be asked again.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tasker_runtime::http::{ApiHandler, StatusCode};
use uuid::Uuid;

use crate::server::{Service, answer};
use crate::{class, error, get};

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_success_gives_its_body() {
    let answer = get(answer("200 OK", "etag: \"7\"\r\n", r#"{"order":{"id":7}}"#)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.header("ETag"), Some("\"7\""));
    assert_eq!(answer.json::<Value>().unwrap(), json!({ "order": { "id": 7 } }));
    assert_eq!(answer.body(), br#"{"order":{"id":7}}"#);
}

#[tokio::test]
async fn each_status_has_its_class_code_and_delay() {
    let date = "date: Sun, 06 Nov 1994 08:49:07 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for (status, headers, expected) in [
        ("503 Service Unavailable", "", ("HTTP_503", "retryable_error", true, None)),
        ("503 Service Unavailable", "retry-after: 7\r\n", ("HTTP_503", "retryable_error", true, seconds(7))),
        ("429 Too Many Requests", "retry-after: 120\r\n", ("HTTP_429", "retryable_error", true, seconds(120))),
        ("429 Too Many Requests", date, ("HTTP_429", "retryable_error", true, seconds(30))),
        ("429 Too Many Requests", "retry-after: soon\r\n", ("HTTP_429", "retryable_error", true, None)),
        ("408 Request Timeout", "", ("HTTP_408", "retryable_error", true, None)),
        ("500 Internal Server Error", "", ("HTTP_500", "retryable_error", true, None)),
        ("599 Whatever", "", ("HTTP_599", "retryable_error", true, None)),
        ("400 Bad Request", "retry-after: 7\r\n", ("HTTP_400", "permanent_error", false, None)),
        ("404 Not Found", "", ("HTTP_404", "permanent_error", false, None)),
        ("422 Unprocessable Content", "", ("HTTP_422", "permanent_error", false, None)),
        ("304 Not Modified", "", ("HTTP_304", "handler_error", false, None)),
        ("999 Beyond", "", ("HTTP_999", "handler_error", false, None)),
    ] {
        let error = error(get(answer(status, headers, "")).await);
        assert_eq!(class(&error), expected, "{status}");
        assert_eq!(error.status().map(|status| status.as_u16()), status[..3].parse().ok());
    }
}

#[tokio::test]
async fn the_failure_of_a_step_says_where_what_and_why() {
    let service = Service::start([answer("503 Service Unavailable", "retry-after: 2\r\n", r#"{"why":"busy"}"#)]);
    let error = ApiHandler::new(service.url()).unwrap().post("/charges", &json!({})).await.unwrap_err();
    let said = error.json::<Value>();
    assert_eq!(said, Some(json!({ "why": "busy" })), "a handler may look at it");
    let failure = error.into_result(Uuid::nil());
    let url = format!("{}/charges", service.url());
    assert_eq!(failure.error_message, Some(format!("POST {url}: 503 Service Unavailable")));
    assert_eq!((failure.error_type(), failure.error_code()), (Some("retryable_error"), Some("HTTP_503")));
    assert_eq!((failure.metadata.retryable, failure.metadata.retry_after_ms), (true, Some(2_000)));
    let context = serde_json::to_value(&failure.metadata.custom).unwrap();
    assert_eq!(context, json!({ "http_method": "POST", "url": url, "status": 503 }));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_where_it_leads() {
    // Whoever follows it meets the second answer.
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let service =
            Service::start([answer(status, "location: /elsewhere?key=hunter2\r\n", ""), answer("200 OK", "", "1")]);
        let error = error(ApiHandler::new(service.url()).unwrap().get("/here").await);
        assert_eq!(class(&error), (format!("HTTP_{}", &status[..3]).as_str(), "handler_error", false, None));
        let wanted = format!("it is at {}/elsewhere; redirects are not followed, so set that address", service.url());
        assert!(error.to_string().ends_with(&wanted), "{error}");
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Order {
    id: u64,
}

#[tokio::test]
async fn an_answer_without_a_body_is_nothing() {
    for status in ["204 No Content", "200 OK"] {
        let answer = get(answer(status, "", "")).await.unwrap();
        answer.json::<()>().unwrap();
        assert_eq!(answer.json::<Option<Order>>().unwrap(), None);
        let error = answer.json::<Order>().unwrap_err();
        assert_eq!(class(&error), ("HTTP_BODY_MISMATCH", "permanent_error", false, None));
    }
}
