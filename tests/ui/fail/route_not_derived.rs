use tasker::{Route, step_handler};

enum Approval {
    Automatic,
}

#[step_handler]
async fn route_approval() -> Route<Approval> {
    Route::to(Approval::Automatic)
}

fn main() {}
