use tasker::step_handler;

#[step_handler]
async fn validate_order<const N: usize>() -> usize {
    N
}

fn main() {}
