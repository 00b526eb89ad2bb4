use tasker::step_handler;

struct Other;

async fn plain() -> i64 {
    1
}

#[step_handler]
async fn a(#[dependency(Other)] other: i64) -> i64 {
    other
}

#[step_handler]
async fn b(#[dependency(plain)] other: i64) -> i64 {
    other
}

#[step_handler]
async fn c(#[dependency(nowhere)] other: i64) -> i64 {
    other
}

fn main() {}
