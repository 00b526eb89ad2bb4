//! State, configuration, and a layer around every attempt.

use serde_json::json;
use tasker::testing::TestApp;

#[path = "../../examples/application_state/handlers.rs"]
mod handlers;
#[path = "../../examples/application_state/layer.rs"]
mod layer;

const TEMPLATE: &str = include_str!("../../examples/application_state/templates/invoice.yaml");
const INPUT: &str = include_str!("../../examples/application_state/input.json");

fn app() -> TestApp {
    TestApp::new().state(handlers::Mailbox::default()).layer(layer::Stopwatch).template(TEMPLATE)
}

#[tokio::test]
async fn handlers_share_state_and_take_what_the_template_sets() {
    let app = app();
    let input: serde_json::Value = serde_json::from_str(INPUT).expect("it is JSON");
    let first = app.run("invoice", input.clone()).await;
    first
        .assert_completed()
        .assert_result("add_tax", &json!({ "gross_cents": 11_900, "tax": "VAT 19 %" }))
        .assert_result(
            "send_invoice",
            &json!({ "text": "ada@example.com pays 11900 cents (VAT 19 %)", "sent_in_all": 1 }),
        );
    // The mailbox is the same one for every task.
    let second = app.run("invoice", input).await;
    assert_eq!(second.assert_completed().result("send_invoice")["sent_in_all"], 2);
}

#[tokio::test]
async fn a_layer_is_around_every_attempt() {
    let input = serde_json::from_str(INPUT).expect("it is JSON");
    let run = app().run("invoice", input).await;
    let step = run.step("send_invoice");
    let details = step.attempts.iter().map(|attempt| &attempt.detail).chain([&step.detail]);
    let seen: Vec<_> = details
        .map(|detail| {
            let beside = &detail.as_ref().expect("the layer told something")["metadata"];
            assert!(beside["took_us"].is_u64(), "{beside}");
            beside["seen_attempt"].clone()
        })
        .collect();
    assert_eq!(seen, [1, 2]);
    assert_eq!(run.errors("send_invoice"), ["the mailbox is busy"]);
}

#[tokio::test]
async fn a_mail_is_sent_once_whenever_the_worker_dies() {
    let app = app();
    let input: serde_json::Value = serde_json::from_str(INPUT).expect("it is JSON");
    let crashes = app.crash_at_every_commit("invoice", input.clone()).await;
    crashes.assert_completed();
    let again = |crash: &tasker::testing::Crash| crash.run().step("send_invoice").losses == 1;
    assert!(crashes.iter().any(again), "the mail was asked for again, with the same key");
    // Every task has sent one mail: after each crash, without one, and now.
    let tasks = crashes.iter().len() + 2;
    assert_eq!(app.run("invoice", input).await.result("send_invoice")["sent_in_all"], tasks);
}

#[tokio::test]
async fn an_amount_that_is_no_number_names_the_key_and_the_reason() {
    let run = app().run("invoice", json!({ "customer": "ada@example.com", "net_cents": "many" })).await;
    run.assert_failed();
    let errors = run.errors("add_tax");
    assert_eq!(
        errors,
        ["`net_cents` of the task's context: invalid type: string \"many\", expected u64"],
        "and it is not tried again"
    );
}

#[test]
fn a_mail_is_sent_once_for_each_key() {
    let mailbox = handlers::Mailbox::default();
    assert_eq!(mailbox.send("a".to_owned(), "x".to_owned()), 1);
    assert_eq!(mailbox.send("a".to_owned(), "x".to_owned()), 1);
    assert_eq!(mailbox.send("b".to_owned(), "x".to_owned()), 2);
}
