use tasker::step_handler;

#[step_handler]
async unsafe fn validate_order() -> i64 {
    1
}

fn main() {}
