//! Nothing: the cases are in `pass` and `fail`, and `ui.rs` runs them.
