use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input] (a, b): (i64, i64)) -> i64 {
    a + b
}

fn main() {}
