//! The stock binary: every command, and the sample workflow for `demo`.

#[path = "../examples/order_fulfillment/handlers.rs"]
mod handlers;

use std::process::ExitCode;

use tasker::Demo;

fn main() -> ExitCode {
    let demo = Demo {
        handlers: handlers::registry(),
        file_name: "order_fulfillment.yaml",
        template: include_str!("../examples/order_fulfillment/templates/order_fulfillment.yaml"),
        tasks: &[("An order of two items:", include_str!("../examples/order_fulfillment/order.json"))],
    };
    tasker::app().templates("templates").demo(demo).run()
}
