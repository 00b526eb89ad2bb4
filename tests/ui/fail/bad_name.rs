use tasker::step_handler;

#[step_handler(name = "ValidateOrder")]
async fn validate_order() -> i64 {
    1
}

fn main() {}
