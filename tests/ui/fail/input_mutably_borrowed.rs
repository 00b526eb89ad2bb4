use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input] items: &mut Vec<i64>) -> usize {
    items.len()
}

fn main() {}
