//! What misuse of `#[event_subscriber]` gets.

use tasker::{StepEvent, event_subscriber};

#[event_subscriber(event = "Order.Validated")]
async fn bad_name(_: StepEvent) {}

#[event_subscriber(event = "tasker.task.faild")]
async fn no_such_event(_: StepEvent) {}

#[event_subscriber(evnt = "order.validated")]
async fn unknown_key(_: StepEvent) {}

#[event_subscriber]
async fn no_event_named(_: StepEvent) {}

#[event_subscriber("order.validated")]
async fn literal(_: StepEvent) {}

#[event_subscriber(event = "order.validated", from = "yesterday")]
async fn from_when(_: StepEvent) {}

#[event_subscriber(event = "order.validated")]
fn not_async(_: StepEvent) {}

#[event_subscriber(event = "order.validated")]
async fn generic<T>(_: StepEvent) {}

#[event_subscriber(event = "order.validated")]
async fn takes_no_event() {}

#[event_subscriber(event = "order.validated")]
async fn state_by_value(_: StepEvent, #[state] _count: u64) {}

#[event_subscriber(event = "order.validated")]
struct NoFunction;

fn main() {}
