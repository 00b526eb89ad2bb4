use tasker::step_handler;

#[step_handler]
async fn validate_order() -> impl serde::Serialize {
    1
}

fn main() {}
