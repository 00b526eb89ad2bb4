//! What no error, no context and no log says.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tasker_runtime::http::{ApiError, ApiHandler};
use tasker_types::StepError;
use uuid::Uuid;

use crate::server::{Does, Service, answer};

/// In the user, the password, the query, the headers and the bodies of every call here.
const SECRET: &str = "hunter2";

fn api(service: &Service) -> ApiHandler {
    let base_url = format!("http://{SECRET}:{SECRET}@{}/v1", service.address());
    let builder = ApiHandler::builder(base_url).header("x-api-key", SECRET);
    builder.timeout(std::time::Duration::from_millis(500)).build().unwrap()
}

#[track_caller]
fn assert_silent(error: &ApiError) {
    let failure = error.clone().into_result(Uuid::nil());
    let all = [
        error.to_string(),
        format!("{error:?} {error:#?}"),
        format!("{:?}", anyhow::Error::from(error.clone()).context("x")),
        StepError::chain(error),
        serde_json::to_string(&failure).unwrap(),
    ];
    for text in all {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[tokio::test]
async fn no_error_has_a_secret_in_it() {
    let body = format!("{{\"token\":\"{SECRET}\"}}");
    let moved = format!("location: http://{SECRET}@elsewhere.example/?key={SECRET}\r\n");
    let header = format!("set-cookie: {SECRET}\r\n");
    for does in [
        answer("503 Busy", &header, &body),
        answer("404 Not Found", &header, &body),
        answer("302 Found", &moved, &body),
        answer("200 OK", &header, &body),
        answer("200 OK", &header, &format!("<p>{SECRET}</p>")),
        Does::Sends(format!("HTTP/1.1 200 OK\r\nx: {SECRET}\r\ncontent-length: 100\r\n\r\n{body}")),
        Does::Sends(format!("HTTP/1.1 200 OK\r\nx {SECRET}\r\n\r\n")),
        Does::Holds(format!("HTTP/1.1 200 OK\r\nx: {SECRET}\r\n")),
        Does::Resets,
    ] {
        let service = Service::start([does]);
        let path = format!("/charges?key={SECRET}");
        let answer = api(&service).post(&path, &json!({ "token": SECRET })).await;
        let error = answer.and_then(|answer| {
            assert!(!format!("{answer:?}").contains(SECRET));
            answer.json::<std::collections::BTreeMap<String, u64>>()
        });
        assert_silent(&error.expect_err("it is an error"));
    }
    assert_silent(&ApiHandler::new(format!("{SECRET}.example")).unwrap_err());
    assert_silent(&ApiHandler::builder("http://a.example").bearer(format!("{SECRET}\n")).build().unwrap_err());
}

#[tokio::test]
async fn user_and_password_of_an_address_go_into_a_header() {
    let service = Service::start([answer("200 OK", "", "1")]);
    let api = api(&service);
    api.get("/x?y=1").await.unwrap();
    let asked = service.asked();
    assert_eq!(asked.line, "GET /v1/x?y=1");
    assert_eq!(asked.header("authorization"), Some("Basic aHVudGVyMjpodW50ZXIy"));
    assert_eq!(asked.header("x-api-key"), Some(SECRET));
    assert_eq!(api.base_url(), format!("{}/v1", service.url()));
    assert!(!format!("{api:?}").contains(SECRET), "{api:?}");
}

/// Everything that is logged, at its finest.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_has_a_secret_in_it() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let logged = tracing::subscriber::set_default(subscriber.finish());
    let service = Service::start([answer("200 OK", &format!("x: {SECRET}\r\n"), &format!("\"{SECRET}\""))]);
    let path = format!("/charges?key={SECRET}");
    api(&service).post(&path, &json!({ "token": SECRET })).await.unwrap();
    drop(logged);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains(&format!("{}/v1/charges", service.url())), "the call is told: {text}");
    assert!(!text.contains(SECRET), "{text}");
}
