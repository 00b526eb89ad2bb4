//! Values are given back as they were.

use std::time::Duration;

use serde_json::{Value, json};
use tasker_types::StepNumber;

use super::World;
use super::sample::{at, chain, finish, new_task, submit_with_priority, task, worker};
use crate::core::{Command, NewTask, Outcome, TaskInput};
use crate::store::{InputRequest, Store};

async fn runs_with(store: &dyn Store, value: &Value, text: &str) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(2)).await;
    let input = TaskInput {
        context: value.to_string().into(),
        correlation_id: text.to_owned(),
        initiator: text.to_owned(),
        source_system: text.to_owned(),
        reason: text.to_owned(),
        claim_timeout: Some(Duration::from_micros(u64::MAX >> 1)),
    };
    w.one(Command::Submit(NewTask { input: input.clone(), ..new_task(task(1), &pinned) })).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    let detail = json!({ "message": text }).to_string();
    let outcome = Outcome::Completed { result: value.to_string().into(), detail: Some(detail.into()) };
    w.one(finish(&claim, outcome)).await.unwrap();

    let view = store.find_task(task(1)).await.unwrap().unwrap();
    assert_eq!(view.input, input);
    assert_eq!(view.steps[0].result.as_ref(), Some(value));
    assert_eq!(view.steps[0].detail, Some(json!({ "message": text })));
    let wanted = InputRequest {
        task: task(1),
        context: true,
        results: vec![StepNumber(0)],
        workers_from: None,
        checkpoint_of: None,
    };
    let [given] = &store.inputs(vec![wanted]).await.unwrap()[..] else { panic!("one answer") };
    assert_eq!(*given.context.as_ref().unwrap().context, *value);
    assert_eq!(given.results[&StepNumber(0)].as_ref().unwrap().result, *value);
}

pub async fn text_is_given_back_as_it_was(store: &dyn Store) {
    // Text with a NUL is refused before it reaches a store; JSON spells it out.
    let text = "quotes ' \" \\, lines \r\n\t, \u{1}\u{7f}, ? $1 :a --, grüße 你好 🦀, \u{feff}\u{202e}";
    runs_with(store, &json!({ text: [text, "NUL \0", "", null, true, -0.5, 1e300, u64::MAX, i64::MIN] }), text).await;
}

pub async fn large_values_are_given_back_as_they_were(store: &dyn Store) {
    let wide: Value = (0..20_000).map(|number| json!({ "number": number, "text": "0123456789" })).collect();
    runs_with(store, &json!({ "wide": wide, "long": "x".repeat(4 << 20) }), &"y".repeat(1 << 20)).await;
}

pub async fn an_outcome_without_detail_has_none(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(finish(&claim, Outcome::Completed { result: "null".into(), detail: None })).await.unwrap();
    let row = w.result(id, 0).unwrap();
    assert_eq!((row.result.as_deref(), row.detail.as_deref()), (Some("null"), None));
    let view = store.find_task(id).await.unwrap().unwrap();
    assert_eq!(view.steps[0].result, Some(Value::Null));
}

pub async fn numbers_at_their_bounds_are_given_back(store: &dyn Store) {
    let mut w = World::new(store);
    let mut template = chain(1);
    template.steps[0].retry.max_attempts = u32::MAX;
    template.steps[0].retry.max_backoff_ms = u64::MAX;
    template.steps[0].timeout_ms = u64::MAX;
    let pinned = w.pin(template).await;
    w.now = at(0);
    for (number, priority) in [(0, -100), (u32::MAX, 100)] {
        w.one(submit_with_priority(task(number), &pinned, priority)).await.unwrap();
        assert_eq!(w.task(task(number)).priority, priority);
    }
    let found = store.find_template("default", "chain", None).await.unwrap().unwrap();
    assert_eq!(found.steps[0].retry, pinned.steps[0].retry);
    assert_eq!(found.steps[0].timeout, pinned.steps[0].timeout);
}
