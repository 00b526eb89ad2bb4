use tasker::step_handler;

struct A;

#[step_handler]
impl A {
    async fn new() -> Self {
        Self
    }

    async fn call(&self) -> i64 {
        1
    }
}

struct B;

#[step_handler]
impl B {
    fn new(config: tasker::StepHandlerConfig, pool: u8) -> Self {
        let _ = (config, pool);
        Self
    }

    async fn call(&self) -> i64 {
        1
    }
}

fn main() {}
