use tasker::step_handler;

struct ChargeCard;

#[step_handler]
impl ChargeCard {
    async fn call(&self) -> i64 {
        1
    }
}

fn main() {}
