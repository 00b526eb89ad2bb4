use tasker::step_handler;

#[step_handler]
async fn validate_order() -> i64 {
    1
}

#[step_handler]
async fn reserve_inventory(#[dependency("validate_order", parial)] order: i64) -> i64 {
    order
}

fn main() {}
