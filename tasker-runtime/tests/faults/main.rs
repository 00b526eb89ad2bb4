//! Real processes that are killed for real, on a real file.

mod child;
mod journal;
mod kill;
