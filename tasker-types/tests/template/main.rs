//! Templates as a user writes them: what is taken, what is refused and how, what is bounded, how it is drawn.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, and so do its helpers")]

mod accepted;
mod bounds;
mod drawing;
mod properties;
mod refused;
mod rendering;
mod schema;
