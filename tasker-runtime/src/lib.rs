//! Core, stores, engine, worker and edges of tasker.

pub mod handler;
pub mod testing;
