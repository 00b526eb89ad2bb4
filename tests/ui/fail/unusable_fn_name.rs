use tasker::step_handler;

#[allow(non_snake_case)]
#[step_handler]
async fn ValidateOrder() -> i64 {
    1
}

fn main() {}
