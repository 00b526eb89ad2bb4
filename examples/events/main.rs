//! Steps publish events, and functions and closures are given them: at least once, those of a task in their order.
//!
//! `cargo run --example events -- run checkout -i @examples/events/input.json --wait`

mod handlers;

use std::process::ExitCode;

use tasker::LifecycleEvent;

#[expect(clippy::print_stderr, reason = "it stands for a pager")]
fn main() -> ExitCode {
    tasker::app()
        .template("checkout.yaml", include_str!("templates/checkout.yaml"))
        .on_event("alarm", "tasker.task.failed", |event: LifecycleEvent| async move {
            eprintln!("task {} failed", event.event.context.task_uuid);
        })
        .run()
}
