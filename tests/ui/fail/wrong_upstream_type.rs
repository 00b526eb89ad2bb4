use tasker::step_handler;

#[derive(serde::Serialize, serde::Deserialize)]
struct ValidatedOrder;

#[derive(serde::Serialize, serde::Deserialize)]
struct Receipt;

#[step_handler]
async fn validate_order() -> Result<ValidatedOrder, tasker::StepError> {
    Ok(ValidatedOrder)
}

#[step_handler]
async fn process_payment(#[dependency(validate_order)] receipt: Receipt) -> i64 {
    let _ = receipt;
    1
}

fn main() {}
