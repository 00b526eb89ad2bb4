//! Templates as a user writes them: what is taken, what is refused and how, what is bounded.

mod accepted;
mod bounds;
mod properties;
mod refused;
mod rendering;
