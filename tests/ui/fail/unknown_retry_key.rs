use tasker::step_handler;

#[step_handler(retry(max_attempt = 3))]
async fn validate_order() -> i64 {
    1
}

fn main() {}
