//! What every store must do: one suite, instantiated for each.
#![allow(missing_docs, reason = "the name of a test is its sentence")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "these are tests")]

pub mod sample;
mod world;

pub use world::{World, assert_legal};
