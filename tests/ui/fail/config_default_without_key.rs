use tasker::step_handler;

#[step_handler]
async fn validate_order(#[config(default = 3)] limit: i64) -> i64 {
    limit
}

fn main() {}
