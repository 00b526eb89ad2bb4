use tasker::step_handler;

struct ChargeCard;

#[step_handler]
impl ChargeCard {
    fn new() -> Option<Self> {
        Some(Self)
    }

    async fn call(&self) -> i64 {
        1
    }
}

fn main() {}
