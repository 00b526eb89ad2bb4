//! The stock binary: every command, and the sample workflow for `demo`.

#[path = "../examples/order_fulfillment/handlers.rs"]
mod handlers;

use std::process::ExitCode;

use tasker::{Demo, RustStepHandlerRegistry};

fn main() -> ExitCode {
    let demo = Demo {
        handlers: RustStepHandlerRegistry::new(),
        file_name: "order_fulfillment.yaml",
        template: include_str!("../examples/order_fulfillment/templates/order_fulfillment.yaml"),
        tasks: &[
            (
                "An order: each step runs when those before it are done, and what it gives is on disk before the next begins.",
                r#"{ "customer": { "id": 123 }, "items": [{ "product_id": 1, "quantity": 2, "price": 29.99 }], "pace_ms": 250 }"#,
            ),
            (
                "The gateway fails once; the step is tried again, and the steps before it are not:",
                r#"{ "customer": { "id": 124 }, "items": [{ "product_id": 2, "quantity": 1, "price": 5.0 }], "pace_ms": 250,
                     "payment": { "timeouts": 1 } }"#,
            ),
            (
                "An order without items: its handler says that another try makes no sense.",
                r#"{ "customer": { "id": 125 }, "items": [] }"#,
            ),
        ],
    };
    // The handlers are there for the demo alone: other projects have their own, in programs of their own.
    tasker::app().handlers(RustStepHandlerRegistry::empty()).templates("templates").demo(demo).run()
}
