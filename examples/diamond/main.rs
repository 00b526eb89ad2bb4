//! A diamond: one step, two that run side by side after it, one that waits for both. Each squares what it is given.
//!
//! 6 becomes 36, then 1,296 twice, and at the end 6^16 = 2,821,109,907,456. The results are checked against each other at
//! build time: `#[dependency(diamond_start)] start: u64` compiles because `diamond_start` returns a `u64`.
//!
//! `cargo run --example diamond -- run diamond_pattern -i @examples/diamond/input.json --wait`

mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app().template("diamond_pattern.yaml", include_str!("templates/diamond_pattern.yaml")).run()
}
