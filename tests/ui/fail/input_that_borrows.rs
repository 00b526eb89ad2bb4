use tasker::step_handler;

#[derive(serde::Deserialize)]
struct Item<'a> {
    sku: &'a str,
}

#[step_handler]
async fn validate_order(#[input] item: Item<'_>) -> usize {
    item.sku.len()
}

fn main() {}
