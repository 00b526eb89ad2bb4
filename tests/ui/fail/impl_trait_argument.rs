use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input] item: impl std::fmt::Debug) -> i64 {
    let _ = item;
    1
}

fn main() {}
