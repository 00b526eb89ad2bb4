use tasker::step_handler;

#[step_handler]
async fn validate_order<T: Default>(#[input] item: T) -> i64 {
    let _ = item;
    1
}

fn main() {}
