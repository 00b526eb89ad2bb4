//! An order, from validation to shipping: four steps in a row.
//!
//! `cargo run --release --example order_fulfillment -- run order_fulfillment -i @examples/order_fulfillment/order.json --wait`

mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app().template("order_fulfillment.yaml", include_str!("templates/order_fulfillment.yaml")).run()
}
