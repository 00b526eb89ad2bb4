use tasker::step_handler;

#[step_handler(retry(max_attempts = 0))]
async fn validate_order() -> i64 {
    1
}

fn main() {}
