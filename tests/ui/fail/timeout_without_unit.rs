use tasker::step_handler;

#[step_handler(timeout = 30)]
async fn a_number() -> i64 {
    1
}

#[step_handler(timeout = "30")]
async fn a_string() -> i64 {
    1
}

fn main() {}
