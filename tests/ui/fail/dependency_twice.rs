use tasker::step_handler;

#[step_handler]
async fn validate_order() -> i64 {
    1
}

#[step_handler]
async fn reserve_inventory(
    #[dependency(validate_order)] order: i64,
    #[dependency(validate_order, partial)] again: String,
) -> i64 {
    let _ = again;
    order
}

fn main() {}
