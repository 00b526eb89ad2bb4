//! The engine on the store in memory, in virtual time.

mod failure;
mod flow;
