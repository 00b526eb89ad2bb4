//! Every example gives exactly what its first lines say.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod application_state;
mod approval;
mod csv_batch;
mod events;
mod hand_written;
mod idempotent_import;
mod order_fulfillment;
mod order_routing;
mod programs;
mod sequences;

#[path = "../../examples/exact/number.rs"]
mod number;
