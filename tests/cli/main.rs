//! The command line as its users meet it: real processes, real files, real signals, a real terminal.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod branches;
mod bulk;
mod by_hand;
mod clumsy;
mod database;
mod dev;
mod event;
mod input;
mod new;
mod postgres;
mod program;
mod rerun;
mod run;
mod schemas;
mod server;
mod task;
mod template;
mod terminal;
mod upgrade;
mod world;
