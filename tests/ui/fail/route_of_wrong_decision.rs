use tasker::{Route, step_handler};

#[derive(Route)]
enum Approval {
    Automatic,
}

#[derive(Route)]
enum Shipping {
    Parcel,
}

#[step_handler]
async fn route_approval() -> Route<Approval> {
    Route::to(Approval::Automatic)
}

#[step_handler]
async fn after(#[dependency(route_approval)] route: Route<Shipping>) -> usize {
    route.steps().len()
}

fn main() {}
