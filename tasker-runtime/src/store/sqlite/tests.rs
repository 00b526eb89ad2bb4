//! What only a file can show, and the suite that every store passes.

mod conformance;
pub(super) mod file;
