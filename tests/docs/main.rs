//! What the documents say is so: their commands run, their code builds, what they name exists.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod blocks;
mod names;
mod pages;
mod readme;
mod shell;
mod shown;
