use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input(defualt = 3)] limit: i64, #[input(customer_id)] customer: i64) -> i64 {
    limit + customer
}

fn main() {}
