//! Bodies that are half, too large, or not what was asked for.

use serde::Deserialize;
use tasker_runtime::http::{ApiError, ApiHandler};

use crate::server::{Does, Service, answer};
use crate::{class, error, get};

const INCOMPLETE: (&str, &str, bool, Option<std::time::Duration>) =
    ("HTTP_BODY_INCOMPLETE", "retryable_error", true, None);
const TOO_LARGE: (&str, &str, bool, Option<std::time::Duration>) =
    ("HTTP_BODY_TOO_LARGE", "permanent_error", false, None);

fn raw(text: &str) -> Does {
    Does::Sends(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{text}"))
}

#[tokio::test]
async fn half_a_body_is_an_error_of_its_own_that_is_tried_again() {
    for half in [
        "content-length: 10\r\n\r\n{\"id\"",
        "transfer-encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n",
        // The length is too small for the value, or there is none: only the JSON shows it.
        "content-length: 5\r\n\r\n{\"id\":7}",
        "\r\n{\"id\":",
    ] {
        let error = error(get(raw(half)).await);
        assert_eq!(class(&error), INCOMPLETE, "{half}");
    }
}

#[tokio::test]
async fn a_length_that_is_no_number_is_a_lost_connection() {
    let error = error(get(raw("content-length: many\r\n\r\n{}")).await);
    assert_eq!(class(&error), ("HTTP_CONNECTION_LOST", "retryable_error", true, None));
}

#[tokio::test]
async fn what_is_no_json_is_an_error_of_its_own() {
    for body in ["<html>sorry</html>", "{\"id\":7} and more", "{id: 7}", "\u{feff}{}"] {
        let error = error(get(answer("200 OK", "content-type: application/json\r\n", body)).await);
        assert_eq!(class(&error), ("HTTP_BODY_NOT_JSON", "permanent_error", false, None), "{body}");
    }
}

#[tokio::test]
async fn a_body_of_another_shape_names_the_place_and_not_the_content() {
    #[derive(Debug, Deserialize)]
    struct Order {
        #[allow(dead_code, reason = "only the shape matters here")]
        items: Vec<u64>,
    }
    let answer = get(answer("200 OK", "", r#"{"items":[1,"hunter2"]}"#)).await.unwrap();
    let error = answer.json::<Order>().unwrap_err();
    assert_eq!(class(&error), ("HTTP_BODY_MISMATCH", "permanent_error", false, None));
    let wanted = "the body does not fit: `items[1]`: invalid type: string \"..\", expected u64";
    assert!(error.to_string().ends_with(wanted), "{error}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_its_end() {
    const LINE: &str = concat!("40\r\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "\r\n");
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const UNTIL_THE_END: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    for does in
        [Does::Repeats(CHUNKED, LINE), Does::Repeats(UNTIL_THE_END, LINE), raw("content-length: 1048577\r\n\r\n1")]
    {
        let error = error(get(does).await);
        assert_eq!(class(&error), TOO_LARGE);
        assert!(error.to_string().ends_with("the body has more than 1048576 bytes"), "{error}");
    }
}

#[tokio::test]
async fn the_limit_can_be_set_and_is_exact() {
    let chunked = "transfer-encoding: chunked\r\n\r\n8\r\n{\"id\":7}\r\n0\r\n\r\n";
    for text in ["content-length: 8\r\n\r\n{\"id\":7}", "\r\n{\"id\":7}", chunked] {
        for (bytes, code) in [(8, None), (7, Some("HTTP_BODY_TOO_LARGE"))] {
            let service = Service::start([raw(text)]);
            let api = ApiHandler::builder(service.url()).response_max_bytes(bytes).build().unwrap();
            assert_eq!(api.get("/").await.err().as_ref().map(ApiError::code), code, "{text}");
        }
    }
}

#[tokio::test]
async fn an_endless_body_beside_an_error_leaves_the_error() {
    let error = error(get(Does::Repeats("HTTP/1.1 500 Oh\r\nconnection: close\r\n\r\n", "xxxxxxxxxxxxxxxx")).await);
    assert_eq!(class(&error), ("HTTP_500", "retryable_error", true, None));
    assert_eq!(error.json::<serde_json::Value>(), None);
}

#[tokio::test]
async fn a_body_that_cannot_be_written_is_not_sent() {
    let api = ApiHandler::new("http://127.0.0.1:9").unwrap();
    let keys_are_no_text = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = api.post("/", &keys_are_no_text).await.unwrap_err();
    assert_eq!(class(&error), ("HTTP_BODY_NOT_SERIALIZABLE", "handler_error", false, None));
}
