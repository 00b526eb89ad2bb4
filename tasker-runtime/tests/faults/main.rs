//! Real processes that are killed for real, on a real file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod child;
mod journal;
mod kill;
