//! The rules, one sentence after the other.

mod act;
mod complete;
mod continuation;
mod failure;
mod invariants;
mod loss;
mod stale;
mod submit;
