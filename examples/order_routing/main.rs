//! A decision written by hand, as an older engine's guide shows it: its result names the steps that go on
//! (`activated_steps`), and the others are skipped.
//!
//! Orders above 1,000 are reviewed and fulfilled first, those above 100 go the usual way, and smaller ones wait for the
//! next batch. What the handler reads as `workflow_step.inputs` is what the task was submitted with.
//!
//! `cargo run --example order_routing -- run order_routing -i @examples/order_routing/input.json --wait`

#[allow(unreachable_pub, clippy::redundant_closure_for_method_calls, reason = "kept as the guide has it")]
mod guide;
mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app()
        .handlers(handlers::registry())
        .template("order_routing.yaml", include_str!("templates/order_routing.yaml"))
        .run()
}
