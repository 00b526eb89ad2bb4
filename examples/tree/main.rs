//! A tree: a root, two branches, four leaves, and a step that waits for all leaves. Each squares what it is given.
//!
//! The last step multiplies the four leaves and squares the product: 6 becomes 6^64, exactly. A result is whatever type the
//! handler returns, as JSON; here it is a number of any size (`examples/exact/number.rs`), written as text beyond 64 bits.
//!
//! `cargo run --example tree -- run hierarchical_tree -i @examples/tree/input.json --wait`

#[path = "../exact/number.rs"]
mod number;

mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app().template("hierarchical_tree.yaml", include_str!("templates/hierarchical_tree.yaml")).run()
}
