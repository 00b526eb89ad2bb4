use tasker::step_handler;

#[step_handler]
struct ValidateOrder;

fn main() {}
