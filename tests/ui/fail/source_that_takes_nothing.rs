use tasker::step_handler;

#[step_handler]
async fn validate_order(#[context("customer")] customer: i64, #[state(pool)] pool: u8) -> i64 {
    let _ = pool;
    customer
}

fn main() {}
