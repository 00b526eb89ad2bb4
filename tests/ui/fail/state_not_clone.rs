use tasker::step_handler;

struct Pool;

#[step_handler]
async fn reserve_inventory(#[state] pool: Pool) -> i64 {
    let _ = pool;
    1
}

fn main() {}
