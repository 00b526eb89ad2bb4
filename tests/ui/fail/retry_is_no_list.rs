use tasker::step_handler;

#[step_handler(retry = 3)]
async fn validate_order() -> i64 {
    1
}

fn main() {}
