use tasker::step_handler;

struct ValidateOrder;

#[step_handler]
impl Default for ValidateOrder {
    fn default() -> Self {
        Self
    }
}

fn main() {}
