use tasker::step_handler;

#[step_handler(timeout = "30x")]
async fn validate_order() -> i64 {
    1
}

fn main() {}
