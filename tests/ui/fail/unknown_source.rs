use tasker::step_handler;

#[step_handler]
async fn validate_order(#[inputs] customer: i64, #[header] agent: String) -> i64 {
    let _ = agent;
    customer
}

fn main() {}
