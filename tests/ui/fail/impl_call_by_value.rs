use tasker::step_handler;

struct ChargeCard;

#[step_handler]
impl ChargeCard {
    fn new() -> Self {
        Self
    }

    async fn call(&mut self) -> i64 {
        1
    }
}

fn main() {}
