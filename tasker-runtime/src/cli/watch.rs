//! Waits for the end of a task, and shows it as it goes on.

use std::time::{Duration, Instant};

use tasker_types::{TaskId, TaskState};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::problem::Problem;
use super::progress::Progress;
use super::recovery;
use super::session::{Role, Session};
use crate::engine::Error;
use crate::store::TaskView;

/// How often a task is looked at.
const LOOK: Duration = Duration::from_millis(80);
/// A look takes at most one part in so many of the time.
const LOOK_SHARE: u32 = 10;
/// How often a process that waits for another one's worker tries to take its place.
const TAKE_OVER: Duration = Duration::from_secs(1);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The task is over.
    Over(TaskState),
    /// The time was up first.
    TimedOut,
    /// A signal came first.
    Interrupted,
}

/// What a wait is bounded by.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) timeout: Option<Duration>,
    pub(crate) signals: CancellationToken,
}

/// Waits until the task is over. A process that may work takes over where the other worker dies meanwhile.
pub(crate) async fn watch(
    context: &Context,
    session: &mut Session,
    task: TaskId,
    progress: &mut Progress,
    bounds: &Bounds,
    role: Role,
) -> Result<Watched, Problem> {
    let deadline = async {
        match bounds.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let engine = session.engine.clone();
    let over = engine.wait(task);
    tokio::pin!(deadline, over);
    let mut take_over = tokio::time::interval(TAKE_OVER);
    let mut look = LOOK;
    loop {
        tokio::select! {
            state = &mut over => return Ok(Watched::Over(state?)),
            () = &mut deadline => return Ok(Watched::TimedOut),
            () = bounds.signals.cancelled() => return Ok(Watched::Interrupted),
            _ = take_over.tick(), if role == Role::Worker && session.right.is_none() => {
                if session.take_right().await? {
                    recovery::start_worker(context, session).await?;
                }
            }
            () = tokio::time::sleep(look), if context.screen.tells() => {
                let began = Instant::now();
                // What cannot be read now is shown at the next look.
                if let Ok(seen) = view(session, task).await {
                    progress.show(&seen, session.engine.clock().now());
                }
                look = LOOK.max(began.elapsed() * LOOK_SHARE);
            }
        }
    }
}

/// The task as it stands.
pub(crate) async fn view(session: &Session, task: TaskId) -> Result<TaskView, Problem> {
    Ok(session.store.find_task(task).await?.ok_or_else(|| Error::NoTask(task.to_string()))?)
}
