use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input] sku: &'static str) -> usize {
    sku.len()
}

fn main() {}
