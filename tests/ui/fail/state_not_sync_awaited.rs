use tasker::step_handler;

use std::cell::Cell;

#[step_handler]
async fn count(#[state] counter: &Cell<i64>) -> i64 {
    counter.get()
}

fn main() {}
