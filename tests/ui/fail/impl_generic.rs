use tasker::step_handler;

struct ChargeCard<T>(T);

#[step_handler]
impl<T: Default + Sync> ChargeCard<T> {
    fn new() -> Self {
        Self(T::default())
    }

    async fn call(&self) -> i64 {
        1
    }
}

fn main() {}
