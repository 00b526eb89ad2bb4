use tasker::step_handler;

#[step_handler(blocking)]
extern "C" fn validate_order() -> i64 {
    1
}

fn main() {}
