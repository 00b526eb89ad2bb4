use tasker::step_handler;

#[step_handler(name = validate_order)]
async fn validate_order() -> i64 {
    1
}

#[step_handler(name)]
async fn reserve_inventory() -> i64 {
    1
}

fn main() {}
