//! A graph that is neither a chain nor a tree: a fan-out, a step that joins both sides, two that follow one side each,
//! and one that waits for all three.
//!
//! 2 becomes 2^2, 2^4 on both sides, 2^16 where they are joined, 2^8 on each side alone, and 2^64 at the end: one more than
//! 64 bits hold, so that result is text.
//!
//! `cargo run --example mixed_dag -- run complex_dag -i @examples/mixed_dag/input.json --wait`

#[path = "../exact/number.rs"]
mod number;

mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app().template("complex_dag.yaml", include_str!("templates/complex_dag.yaml")).run()
}
