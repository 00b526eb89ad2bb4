//! Ready steps go to this worker; steps whose retry is due become ready.

use std::cmp::Reverse;

use rusqlite::Connection;
use tasker_types::{TaskId, Timestamp, WorkerId};

use super::load::bind_task;
use super::rows::{self, BareTask, Columns, LIVE, TASK};
use super::sql::{Binder, execute, execute_all, first, nothing, select, select_all};
use super::templates::Templates;
use super::workers::has_lease;
use super::writer::{begin, commit};
use crate::core::{Claimed, QueueId, StepRef};
use crate::store::contract::told;
use crate::store::{ClaimRequest, Claims, DUE_MAX, Due, StoreError};

/// The steps of a queue that come first, by the index of those that were never lost.
const FRESH: &str = "SELECT queue, priority, task, number FROM live_steps WHERE queue = ? AND state = 1 AND held = 0 \
                     AND losses = 0 AND ready_at <= ? ORDER BY priority DESC, ready_at LIMIT ?";
/// The same of those that were.
const LOSSY: &str = "SELECT queue, priority, task, number FROM live_steps WHERE queue = ? AND state = 1 AND held = 0 \
                     AND losses > 0 AND ready_at <= ? ORDER BY priority DESC, ready_at LIMIT ?";
const TAKE: &str = "UPDATE live_steps SET state = 2, attempt = attempt + 1, claimed_by = ?, claimed_at = ? WHERE state = 1 \
                    AND task = ? AND number = ?";
const START: &str = "UPDATE tasks SET state = 1, started_at = ? WHERE state = 0 AND id = ?";

pub(super) fn claim(
    connection: &Connection,
    templates: &Templates,
    request: &ClaimRequest,
) -> Result<Claims, StoreError> {
    let now = told(request.now)?;
    // A look first: an idle worker takes no write lock.
    if candidates(connection, request, now)?.is_empty() {
        return Ok(Claims::default());
    }
    begin(connection)?;
    let chosen =
        if has_lease(connection, request.worker, now)? { candidates(connection, request, now)? } else { Vec::new() };
    let claimed = take(connection, templates, (request.worker, now), &chosen)?;
    commit(connection)?;
    Ok(Claims { claimed, passed_over: false })
}

/// The steps that come first: by priority, then by their place in their queue, then by whose turn it is.
fn candidates(connection: &Connection, request: &ClaimRequest, now: Timestamp) -> Result<Vec<StepRef>, StoreError> {
    let mut chosen = probe(connection, request, now, (FRESH, request.limit))?;
    if request.lossy {
        chosen.extend(probe(connection, request, now, (LOSSY, 1))?);
    }
    Ok(chosen)
}

fn probe(
    connection: &Connection,
    request: &ClaimRequest,
    now: Timestamp,
    (sql, limit): (&str, u32),
) -> Result<Vec<StepRef>, StoreError> {
    if limit == 0 || request.queues.is_empty() {
        return Ok(Vec::new());
    }
    let start = request.rotation % request.queues.len();
    let rotated = [&request.queues[start..], &request.queues[..start]].concat();
    let bind = |queue: &QueueId, to: &mut Binder<'_, '_>| _ = to.add(queue.0).add(now.as_micros()).add(limit);
    let read = |columns: &mut Columns<'_>| {
        let (queue, priority): (i64, i16) = (columns.get()?, columns.get()?);
        Ok((queue, priority, StepRef { task: columns.task()?, number: columns.number()? }))
    };
    let found = select(connection, sql, &rotated, bind, read)?;
    let mut ordered: Vec<(Reverse<i16>, usize, StepRef)> = Vec::with_capacity(found.len());
    for of_queue in found.chunk_by(|(queue, ..), (next, ..)| queue == next) {
        ordered
            .extend(of_queue.iter().enumerate().map(|(place, &(_, priority, step))| (Reverse(priority), place, step)));
    }
    // Stable: among equals the rotation decides which queue comes first.
    ordered.sort_by_key(|&(priority, place, _)| (priority, place));
    ordered.truncate(limit as usize);
    Ok(ordered.into_iter().map(|(.., step)| step).collect())
}

fn take(
    connection: &Connection,
    templates: &Templates,
    (worker, now): (WorkerId, Timestamp),
    chosen: &[StepRef],
) -> Result<Vec<Claimed>, StoreError> {
    execute_all(connection, TAKE, chosen, |step, to| {
        to.add(rows::worker(Some(worker))).add(now.as_micros());
        rows::bind_step(step, to);
    })?;
    let mut tasks: Vec<TaskId> = chosen.iter().map(|step| step.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    execute(connection, START, &tasks, |task, to| {
        to.add(now.as_micros());
        bind_task(task, to);
    })?;
    let read = format!(
        "SELECT {LIVE}, {TASK} FROM live_steps AS l CROSS JOIN tasks AS t ON t.id = l.task WHERE l.task = ? AND l.number = ?"
    );
    select(connection, &read, chosen, rows::bind_step, |columns| {
        let live = rows::live(columns)?;
        let row = BareTask::read(columns)?.pinned(connection, templates)?;
        Ok(Claimed { task: live.task, pinned: row.pinned, live })
    })
}

const NEXT_DUE: &str = "SELECT min(ready_at) FROM live_steps WHERE state = 3 AND held = 0";
const DUE: &str =
    "SELECT task, number FROM live_steps WHERE state = 3 AND held = 0 AND ready_at <= ? ORDER BY ready_at LIMIT ?";
const READY: &str = "UPDATE live_steps SET state = 1 WHERE state = 3 AND task = ? AND number = ?";

pub(super) fn due(connection: &Connection, now: Option<Timestamp>) -> Result<Due, StoreError> {
    let now = told(now)?;
    let next = || first(connection, NEXT_DUE, nothing, |columns| columns.maybe_time()).map(Option::flatten);
    let Some(earliest) = next()? else { return Ok(Due::default()) };
    if earliest > now {
        return Ok(Due { ready: 0, next: Some(earliest.since(now)) });
    }
    begin(connection)?;
    let bind = |to: &mut Binder<'_, '_>| _ = to.add(now.as_micros()).add(DUE_MAX);
    let steps =
        select_all(connection, DUE, bind, |columns| Ok(StepRef { task: columns.task()?, number: columns.number()? }))?;
    execute_all(connection, READY, &steps, rows::bind_step)?;
    let next = next()?;
    commit(connection)?;
    Ok(Due { ready: steps.len() as u64, next: next.map(|at| at.since(now)) })
}
