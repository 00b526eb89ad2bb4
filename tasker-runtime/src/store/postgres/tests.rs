//! What only a server can show, and the suite that every store passes.

mod conformance;
mod differential;
mod plan;
mod server;
