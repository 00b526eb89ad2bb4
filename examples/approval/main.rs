//! A typed decision: an enum names the branches, the handler returns a `Route` to one of its variants, and a convergence
//! joins whichever of them ran.
//!
//! Below 1,000 an expense is approved by itself, below 5,000 a manager looks at it, and above that finance does, too.
//!
//! `cargo run --example approval -- run approval -i @examples/approval/input.json --wait`

mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app().template("approval.yaml", include_str!("templates/approval.yaml")).run()
}
