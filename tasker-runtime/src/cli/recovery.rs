//! The start of a worker, and what it tells of the one before it.

use super::Context;
use super::human;
use super::ids;
use super::problem::Problem;
use super::screen::{BOLD, DIM};
use super::session::Session;

/// Recovered tasks that are told one by one.
const TOLD: usize = 5;

/// Starts the worker, and says what it took back from one that died.
pub(crate) async fn start_worker(context: &Context, session: &Session) -> Result<(), Problem> {
    let recovered = session.engine.start_worker().await?;
    if recovered.tasks.is_empty() || !context.screen.tells() {
        return Ok(());
    }
    let number = u64::try_from(recovered.tasks.len()).unwrap_or(u64::MAX);
    let mut told = Vec::new();
    for &task in recovered.tasks.iter().take(TOLD) {
        let Some(view) = session.store.find_task(task).await? else { continue };
        let short = ids::short(&*session.store, task).await?;
        let done = view.steps.iter().filter(|step| step.state.decides_successors()).count();
        let name = &view.row.pinned.template.name;
        told.push(format!("{name} {short} {DIM}({done} of {} steps done){DIM:#}", view.steps.len()));
    }
    let more = recovered.tasks.len().saturating_sub(TOLD);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    let tasks = human::count(number, "task");
    match told.as_slice() {
        [only] => context.screen.status(format!("{BOLD}recovered {tasks}{BOLD:#}: {only}")),
        several => context.screen.status(format!("{BOLD}recovered {tasks}{BOLD:#}:\n  {}", several.join("\n  "))),
    }
    Ok(())
}
