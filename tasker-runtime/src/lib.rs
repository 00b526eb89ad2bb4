//! What runs workflows: the rules, the stores, the engine, the worker, and the edges.

pub mod core;
pub mod engine;
pub mod handler;
pub mod store;
pub mod testing;
