use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input] name: &str) -> std::borrow::Cow<'_, str> {
    name.into()
}

#[step_handler]
async fn reserve_inventory(#[input] name: &str) -> &str {
    name
}

fn main() {}
