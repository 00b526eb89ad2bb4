//! The engine on the store in memory, in virtual time where nothing else is said.

mod failure;
mod flow;
mod stop;
mod threads;
