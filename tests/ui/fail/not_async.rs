use tasker::step_handler;

#[step_handler]
fn validate_order() -> i64 {
    1
}

fn main() {}
