//! What a subscriber takes is made of an event.

use tasker::event_subscriber;

struct Order;

#[event_subscriber(event = "order.validated")]
async fn confirm(_: Order) {}

fn main() {}
