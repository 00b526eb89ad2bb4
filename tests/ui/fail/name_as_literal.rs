use tasker::step_handler;

#[step_handler("validate_order")]
async fn validate_order() -> i64 {
    1
}

fn main() {}
