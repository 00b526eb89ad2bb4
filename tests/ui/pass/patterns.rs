//! Arguments may be patterns; a key is then given, and a leading `_` or `r#` is not part of it.

#![allow(unused_variables, unused_mut)]

use serde::Deserialize;
use tasker::{StepContext, step_handler};

#[derive(Deserialize)]
struct Point {
    x: i64,
    y: i64,
}

#[step_handler]
async fn validate_order(
    #[input("pair")] (a, b): (i64, i64),
    #[input("point")] Point { x, y }: Point,
    #[input("array")] [first, ..]: [i64; 3],
    #[input] mut count: i64,
    #[input] r#type: String,
    #[input] _unused: bool,
    #[input("ignored")] _: bool,
    #[allow(unused)] #[input] lint: i64,
    _: StepContext<'_>,
) -> i64 {
    count += 1;
    a + b + x + y + first + count
}

#[step_handler(name = "match")]
async fn r#match() -> i64 {
    1
}

fn main() {}
