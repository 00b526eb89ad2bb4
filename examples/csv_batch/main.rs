//! Batches: a CSV file of 1,000 products is cut into pieces of 200 rows, which five workers count side by side.
//!
//! The first step writes the file (the same rows each time, some of them broken), so that the example needs nothing else; an empty
//! file makes no batches, and the last step runs all the same. `guide.rs` has the worker in the form that an older engine's guide
//! shows, `handlers.rs` the others, typed.
//!
//! `cargo run --example csv_batch -- run csv_batch -i @examples/csv_batch/input.json --wait`

#[allow(clippy::cast_possible_truncation, reason = "kept as the guide has it")]
mod guide;
mod handlers;
mod products;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app().template("csv_batch.yaml", include_str!("templates/csv_batch.yaml")).run()
}
