//! What runs workflows: the rules, the stores, the engine, the worker, and the edges.

#[cfg(feature = "schemars")]
pub use schemars;

#[cfg(all(feature = "cli", feature = "sqlite"))]
pub mod app;
mod by_id;
#[cfg(all(feature = "cli", feature = "sqlite"))]
mod cli;
pub mod core;
pub mod engine;
pub mod event;
pub mod handler;
#[cfg(feature = "http")]
pub mod http;
#[doc(hidden)]
pub mod mark;
#[doc(hidden)]
pub mod pace;
#[cfg(any(feature = "cli", feature = "postgres"))]
mod pause;
#[doc(hidden)]
pub mod plant;
pub mod store;
pub mod testing;
