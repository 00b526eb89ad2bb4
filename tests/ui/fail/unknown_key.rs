use tasker::step_handler;

#[step_handler(nmae = "validate_order")]
async fn validate_order() -> i64 {
    1
}

#[step_handler(colour = "red")]
async fn reserve_inventory() -> i64 {
    1
}

fn main() {}
