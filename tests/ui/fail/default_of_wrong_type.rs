use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input(default = "three")] limit: i64) -> i64 {
    limit
}

fn main() {}
