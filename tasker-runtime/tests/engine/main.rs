//! The engine on the store in memory, in virtual time where nothing else is said.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod batch;
mod by_hand;
mod checkpoint;
mod doubt;
mod events;
mod failure;
mod flow;
mod identity;
mod inputs;
mod lease;
mod rerun;
mod schemas;
mod slots;
mod stale;
mod stop;
mod threads;
