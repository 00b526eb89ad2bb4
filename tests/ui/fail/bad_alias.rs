use tasker::step_handler;

#[step_handler(alias = "validate order", alias = "v", alias = "v")]
async fn validate_order() -> i64 {
    1
}

fn main() {}
