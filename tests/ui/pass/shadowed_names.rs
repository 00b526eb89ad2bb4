//! The user's own names are not in the way of the generated code, nor it in theirs.

#![allow(dead_code, non_camel_case_types, clippy::all)]

use tasker::step_handler;

struct Result;
struct Option;
struct Box;
struct String;
struct Vec;
struct Ok;
struct Some;
struct Err;
struct Send;
struct Default;
struct Clone;
struct str;
struct bool;
struct u8;
mod core {}
mod std {}
mod anyhow {}
mod serde {}
mod inventory {}

#[step_handler]
async fn validate_order(
    #[input] __cx: i64,
    #[input] __step: i64,
    #[input] __config: i64,
    #[input("b", default = 1)] __argument0: i64,
    #[config] config: i64,
    #[state] step: i64,
) -> i64 {
    __cx + __step + __config + __argument0 + config + step
}

#[step_handler]
async fn reserve_inventory(#[dependency(validate_order)] __found: i64) -> i64 {
    __found
}

struct Handler(i64);

#[step_handler]
impl Handler {
    fn new() -> Self {
        Self(1)
    }

    async fn call(&self, #[input(default)] __inner: i64) -> i64 {
        self.0 + __inner
    }
}

fn main() {}
