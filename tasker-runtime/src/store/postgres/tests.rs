//! What only a server can show, and the suite that every store passes.

mod claim;
mod clock;
mod commit;
mod conformance;
mod differential;
mod dropped;
mod event;
mod filter;
mod lease;
mod notify;
mod plan;
mod rights;
mod schema;
mod server;
mod view;
