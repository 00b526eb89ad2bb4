//! What handlers share and what surrounds them: a value of the application (`.state(..)`), the template's settings for a
//! handler (`#[config]`), and a layer around every attempt.
//!
//! The mailbox is busy once, as the input says, so `send_invoice` is tried twice; the layer sees every attempt, and puts
//! how long it took beside the result. The mail carries a key that is the same at every attempt: whoever must not do a thing
//! twice, though the handler may run twice, asks for it.
//!
//! `cargo run --example application_state -- run invoice -i @examples/application_state/input.json --wait`

mod handlers;
mod layer;

use std::process::ExitCode;

use crate::handlers::Mailbox;
use crate::layer::Stopwatch;

fn main() -> ExitCode {
    tasker::app()
        .state(Mailbox::default())
        .layer(Stopwatch)
        .template("invoice.yaml", include_str!("templates/invoice.yaml"))
        .run()
}
