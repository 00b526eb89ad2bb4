use tasker::step_handler;

#[step_handler(timeout = "0s")]
async fn validate_order() -> i64 {
    1
}

fn main() {}
