//! An import that happens once, however often its delivery is sent.
//!
//! Each request has an idempotency key, here the number of the delivery: a second request with it is given the task of the
//! first, or is refused with `--if-exists conflict`. The context is held against a JSON Schema, steps are given parts of it and
//! of earlier results by `inputs`, and with `TASKER_ENV=production` more time and more attempts.
//!
//! `cargo run --example idempotent_import -- run idempotent_import --key delivery-7 -i @examples/idempotent_import/input.json --wait`

mod handlers;

use std::process::ExitCode;

fn main() -> ExitCode {
    tasker::app().template("idempotent_import.yaml", include_str!("templates/idempotent_import.yaml")).run()
}
