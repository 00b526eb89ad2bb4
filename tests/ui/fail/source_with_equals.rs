use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input = "customer.id"] customer: i64) -> i64 {
    customer
}

fn main() {}
