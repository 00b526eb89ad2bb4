use tasker::step_handler;

#[step_handler(retry(backoff = "exponental"))]
async fn validate_order() -> i64 {
    1
}

fn main() {}
