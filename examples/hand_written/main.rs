//! Handlers without the macro: types that implement `RustStepHandler`, registered by name, beside an annotated one.
//!
//! `RustStepHandlerRegistry::new()` holds every annotated handler of the program already; `register` and
//! `register_handler` add those that were written by hand.
//!
//! `cargo run --example hand_written -- run order_check -i @examples/hand_written/input.json --wait`

#[allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "kept as the guide has it"
)]
mod guide;
mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app()
        .handlers(handlers::registry())
        .template("order_check.yaml", include_str!("templates/order_check.yaml"))
        .run()
}
