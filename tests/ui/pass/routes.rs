//! Routes of decisions.

use serde_json::json;
use tasker::{Route, StepError, step_handler};

mod vendored {
    pub(crate) use tasker as workflows;
}

#[derive(Route)]
enum Approval {
    Automatic,
    #[route("ask_manager", "note_delay")]
    Manager,
    #[route()]
    Nothing,
    r#Type,
    #[cfg(any())]
    NotThere(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, tasker::Route)]
#[route(crate = vendored::workflows)]
enum Elsewhere {
    A,
    B,
}

type Decided<T> = Result<Route<T>, StepError>;

#[step_handler]
async fn route_approval(#[input] total: u32) -> Decided<Approval> {
    Ok(match total {
        0 => Route::to(Approval::Nothing),
        1..1_000 => Route::to(Approval::Automatic),
        1_000..2_000 => Route::to(Approval::Type),
        _ => Route::to(Approval::Manager).with_context(json!({ "total": total })),
    })
}

#[step_handler]
async fn elsewhere() -> Route<Elsewhere> {
    Route::to(if cfg!(windows) { Elsewhere::A } else { Elsewhere::B })
}

#[step_handler]
async fn after(#[dependency(route_approval)] route: Route<Approval>) -> usize {
    route.steps().len()
}

#[step_handler]
async fn maybe_after(#[dependency(elsewhere)] route: Option<Route<Elsewhere>>) -> bool {
    route.is_some_and(|route| *route.branch() == Elsewhere::A)
}

fn main() {}
