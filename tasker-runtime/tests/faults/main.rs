//! Real processes that are killed, stopped and cut off for real, on a real file and on real servers.
//!
//! What the handlers wrote down themselves, what stands in the database and what clients were told must agree in the end.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may panic, and tells what it saw"
)]

mod checker;
mod child;
mod client;
mod clock;
mod commit;
mod dice;
mod disk;
mod events;
mod journal;
mod kill;
mod log;
mod mute;
mod planted;
mod pooler;
mod postmaster;
mod proxy;
mod server;
mod shut;
mod workflow;
mod zombie;
