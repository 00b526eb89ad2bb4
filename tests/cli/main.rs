//! The command line as its users meet it: real processes, real files, real signals, a real terminal.

mod database;
mod dev;
mod input;
mod new;
mod program;
mod run;
mod task;
mod template;
mod terminal;
mod world;
