use tasker::step_handler;

#[step_handler]
async fn gift_wrap() -> String {
    String::new()
}

#[step_handler]
async fn ship_order(#[dependency(gift_wrap)] wrap: Option<i64>) -> bool {
    wrap.is_some()
}

fn main() {}
