use tasker::step_handler;

#[step_handler(name = "a", name = "b")]
async fn validate_order() -> i64 {
    1
}

fn main() {}
