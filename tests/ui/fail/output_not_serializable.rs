use tasker::step_handler;

struct Receipt;

#[step_handler]
async fn process_payment() -> Result<Receipt, tasker::StepError> {
    Ok(Receipt)
}

fn main() {}
