use tasker::step_handler;

#[step_handler]
async fn validate_order() -> i64 {
    let shared = std::rc::Rc::new(1_i64);
    std::future::ready(()).await;
    *shared
}

fn main() {}
