use tasker::step_handler;

#[step_handler]
async fn validate_order(#[input] coupon: Option<&str>) -> bool {
    coupon.is_some()
}

fn main() {}
