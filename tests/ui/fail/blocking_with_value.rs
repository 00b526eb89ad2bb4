use tasker::step_handler;

#[step_handler(blocking = true)]
fn validate_order() -> i64 {
    1
}

fn main() {}
