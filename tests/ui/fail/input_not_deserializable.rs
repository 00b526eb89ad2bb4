use tasker::step_handler;

struct Customer;

#[step_handler]
async fn validate_order(#[input] customer: Customer) -> i64 {
    let _ = customer;
    1
}

fn main() {}
