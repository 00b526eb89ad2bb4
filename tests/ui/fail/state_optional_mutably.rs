use tasker::step_handler;

struct Pool;

#[step_handler]
async fn reserve_inventory(#[state] pool: Option<&mut Pool>) -> bool {
    pool.is_some()
}

fn main() {}
