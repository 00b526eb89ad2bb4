//! Every option of `#[event_subscriber]`, everything that a subscriber takes, and what it may return.

use std::sync::Mutex;

use serde::Deserialize;
use tasker::{LifecycleEvent, Payload, StepEvent, StepEventContext, event_subscriber};

#[derive(Deserialize)]
struct Paid {
    total: f64,
}

#[derive(Default)]
struct Ledger(Mutex<f64>);

#[derive(Debug, thiserror::Error)]
#[error("the books are closed")]
struct Closed;

#[event_subscriber(event = "order.*", event = "invoice.paid", name = "audit", from = "oldest", crate = tasker)]
async fn keep(event: StepEvent) {
    let _ = event.position;
}

#[event_subscriber(event = "order.paid", from = "now")]
async fn book(
    Payload(order): Payload<Paid>,
    #[state] ledger: &Ledger,
    #[state] _rates: &Vec<f64>,
) -> Result<(), Closed> {
    *ledger.0.lock().map_err(|_| Closed)? += order.total;
    Ok(())
}

#[event_subscriber(event = "*")]
async fn note(#[state] _ledger: &Ledger, step: StepEventContext) -> anyhow::Result<()> {
    let StepEventContext { task_uuid, step_uuid, step_name, namespace, correlation_id, result, metadata } = step;
    anyhow::ensure!(!task_uuid.is_empty(), "{step_uuid} {step_name} {namespace} {correlation_id}");
    drop((result, metadata));
    Ok(())
}

#[event_subscriber(event = "tasker.task.failed")]
async fn r#async(event: LifecycleEvent) {
    let _ = (event.kind, event.event);
}

#[cfg(any())]
#[event_subscriber(event = "order.*")]
async fn never_compiled(event: NoSuchType) {}

// A subscriber is still a function.
fn main() {
    let _ = (keep, book, note, r#async);
    let mut told: Vec<(String, Vec<String>, bool)> = tasker::EventRegistry::linked()
        .subscribers()
        .map(|one| (one.name.to_string(), one.patterns.clone(), one.from_oldest))
        .collect();
    told.sort();
    let expected = [
        ("async", &["tasker.task.failed"][..], false),
        ("audit", &["order.*", "invoice.paid"], true),
        ("book", &["order.paid"], false),
        ("note", &["*"], false),
    ];
    let expected = expected.map(|(name, patterns, from_oldest)| {
        (name.to_owned(), patterns.iter().map(|&pattern| pattern.to_owned()).collect(), from_oldest)
    });
    assert_eq!(told, expected);
}
