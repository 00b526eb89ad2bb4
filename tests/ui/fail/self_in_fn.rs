use tasker::step_handler;

struct Orders;

impl Orders {
    #[step_handler]
    async fn validate_order(&self) -> i64 {
        1
    }
}

fn main() {}
