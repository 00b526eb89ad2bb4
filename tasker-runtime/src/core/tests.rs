//! The rules, one sentence after the other.

mod act;
mod batch;
mod by_hand;
mod complete;
mod continuation;
mod decision;
mod expire;
mod failure;
mod invariants;
mod loss;
mod property;
mod rerun;
mod stale;
mod submit;
