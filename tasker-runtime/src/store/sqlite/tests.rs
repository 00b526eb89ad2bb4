//! What only a file can show, and the suite that every store passes.

mod conformance;
mod crash;
mod differential;
mod fault;
mod file;
mod lock;
pub(super) mod plan;
mod schema;
mod settings;
