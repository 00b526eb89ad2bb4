use tasker::step_handler;

#[step_handler(returns = i64)]
async fn validate_order() -> Result<String, tasker::StepError> {
    Ok(String::new())
}

fn main() {}
