//! Nothing is in scope but what the generated code brings along.

#![no_implicit_prelude]

#[::tasker::step_handler(timeout = "1s", retry(max_attempts = 2, backoff = "linear"))]
async fn validate_order(
    #[input] customer: ::std::primitive::i64,
    #[input(default = 3)] limit: ::std::primitive::i64,
    #[input("name", default = "x")] name: &::std::primitive::str,
    #[state] pool: &::std::string::String,
    #[config("a.b")] config: ::std::option::Option<::std::primitive::u8>,
) -> ::std::result::Result<::std::string::String, ::tasker::StepError> {
    let _ = (customer, limit, name, pool, config);
    ::std::result::Result::Ok(::std::string::String::new())
}

#[::tasker::step_handler]
async fn reserve_inventory(#[dependency(validate_order)] order: ::std::option::Option<::std::string::String>) {
    let _ = order;
}

#[::tasker::step_handler(blocking)]
fn compress(#[context] all: &::tasker_json::Value) -> ::std::primitive::bool {
    all.is_null()
}

struct ChargeCard;

#[::tasker::step_handler]
impl ChargeCard {
    fn new() -> Self {
        Self
    }

    async fn call(&self) -> ::std::primitive::u8 {
        1
    }
}

#[derive(::std::fmt::Debug, ::thiserror::Error, ::tasker::StepFailure)]
#[error("busy")]
#[step(retryable, retry_after = "1s")]
struct Busy;

#[derive(::tasker::Route)]
enum Approval {
    Automatic,
    #[route("ask_manager")]
    Manager,
}

#[::tasker::step_handler]
async fn route_approval() -> ::tasker::Route<Approval> {
    ::tasker::Route::to(if true { Approval::Automatic } else { Approval::Manager })
}

extern crate serde_json as tasker_json;

fn main() {}
