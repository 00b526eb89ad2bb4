use tasker::step_handler;

#[derive(Debug)]
struct GatewayError;

#[step_handler]
async fn process_payment() -> Result<i64, GatewayError> {
    Err(GatewayError)
}

fn main() {}
