use tasker::step_handler;

struct ChargeCard;

#[step_handler]
impl ChargeCard {
    fn new() -> Self {
        Self
    }

    fn call(&self) -> i64 {
        1
    }
}

fn main() {}
