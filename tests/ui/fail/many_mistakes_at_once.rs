use tasker::step_handler;

#[step_handler(nmae = "x", timeout = "30")]
fn validate_order<T>(#[inputs] a: i64, #[input] b: &mut i64) -> Result<&str, tasker::StepError> {
    let _ = (a, b);
    Ok("x")
}

#[step_handler]
async fn reserve_inventory(#[dependency(validate_order)] order: i64) -> i64 {
    let _ = validate_order::<u8>;
    order
}

fn main() {}
