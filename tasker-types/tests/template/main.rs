//! Templates as a user writes them: what is taken, what is refused and how, what is bounded.

mod accepted;
mod refused;
