//! Four steps in a row, as an older engine's template describes them: square, add 10, multiply by 3, halve.
//!
//! The template is written in the dialect of that engine (`:name:`, `limit`, Rust paths as callables); it is taken as it
//! stands, and `check` warns of what is written differently now. The handlers are found by the path's last segment or
//! by an alias. 6 becomes 36, 46, 138, 69; an odd number is refused and not tried again.
//!
//! `cargo run --example linear -- run mathematical_sequence -i @examples/linear/input.json --wait`

mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app().template("mathematical_sequence.yaml", include_str!("templates/mathematical_sequence.yaml")).run()
}
