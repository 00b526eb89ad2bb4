//! Ready steps go to this worker; steps whose retry is due become ready.

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use tasker_types::{TaskId, Timestamp};

use super::error::translate;
use super::rows::{self, BareTask, Columns, LIVE, TASK};
use super::sql::{Binder, Values, expect};
use super::templates::Templates;
use super::writer::{begin, commit};
use crate::core::{Claimed, QueueId, StepRef};
use crate::store::{ClaimRequest, Claims, DUE_MAX, Due, StoreError};

/// Queues that one statement probes; the next ones follow in the next statement.
const QUEUES_AT_ONCE: usize = 64;

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    templates: &Templates,
    request: &ClaimRequest,
) -> Result<Claims, StoreError> {
    // A look first: an idle worker takes no write lock.
    if candidates(connection, request).await?.is_empty() {
        return Ok(Claims::default());
    }
    begin(connection).await?;
    let chosen = candidates(connection, request).await?;
    let claimed = take(connection, templates, request, &chosen).await?;
    commit(connection).await?;
    Ok(Claims { claimed })
}

/// The steps that come first, by priority and then by time.
async fn candidates(connection: &mut SqliteConnection, request: &ClaimRequest) -> Result<Vec<StepRef>, StoreError> {
    let mut fresh = probe(connection, request, "losses = 0", request.limit).await?;
    if request.lossy {
        fresh.extend(probe(connection, request, "losses > 0", 1).await?);
    }
    Ok(fresh)
}

async fn probe(
    connection: &mut SqliteConnection,
    request: &ClaimRequest,
    losses: &'static str,
    limit: u32,
) -> Result<Vec<StepRef>, StoreError> {
    let mut found: Vec<(i16, i64, StepRef)> = Vec::new();
    if limit == 0 || request.queues.is_empty() {
        return Ok(Vec::new());
    }
    let start = request.rotation % request.queues.len();
    let rotated: Vec<QueueId> = request.queues[start..].iter().chain(&request.queues[..start]).copied().collect();
    for queues in rotated.chunks(QUEUES_AT_ONCE) {
        let one = format!(
            "SELECT * FROM (SELECT priority, ready_at, task, number FROM live_steps WHERE queue = ? AND state = 1 AND held = 0 AND {losses} \
             AND ready_at <= ? ORDER BY priority DESC, ready_at LIMIT ?)"
        );
        let mut query = sqlx::query(AssertSqlSafe(vec![one; queues.len()].join(" UNION ALL ")));
        for queue in queues {
            query = query.bind(queue.0).bind(request.now.as_micros()).bind(limit);
        }
        for row in query.fetch_all(&mut *connection).await.map_err(translate)? {
            let columns = &mut Columns::of(&row);
            let (priority, ready_at) = (columns.get()?, columns.get()?);
            found.push((priority, ready_at, StepRef { task: columns.task()?, number: columns.number()? }));
        }
    }
    // Stable: among equals the rotation decides which queue comes first.
    found.sort_by_key(|&(priority, ready_at, _)| (std::cmp::Reverse(priority), ready_at));
    found.truncate(limit as usize);
    Ok(found.into_iter().map(|(_, _, step)| step).collect())
}

async fn take(
    connection: &mut SqliteConnection,
    templates: &Templates,
    request: &ClaimRequest,
    chosen: &[StepRef],
) -> Result<Vec<Claimed>, StoreError> {
    // `IN`, for a join may begin with the many rows of the table instead of the few that are given.
    let update = Values::new(
        "UPDATE live_steps SET state = 2, attempt = attempt + 1, claimed_by = ?, claimed_at = ? WHERE state = 1 AND (task, number) IN (VALUES ",
        2,
        ")",
    );
    let head = |to: &mut Binder| _ = to.add(rows::worker(Some(request.worker))).add(request.now.as_micros());
    expect(update.execute_with(connection, head, chosen, rows::bind_step).await?, chosen.len() as u64)?;
    let mut tasks: Vec<TaskId> = chosen.iter().map(|step| step.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let started = Values::new("UPDATE tasks SET state = 1, started_at = ? WHERE state = 0 AND id IN (VALUES ", 1, ")");
    let head = |to: &mut Binder| _ = to.add(request.now.as_micros());
    started.execute_with(connection, head, &tasks, |&task, to| _ = to.add(rows::id(task))).await?;

    let select = format!("SELECT {LIVE}, {TASK} FROM (VALUES ");
    let join = ") AS v CROSS JOIN live_steps AS l ON l.task = v.column1 AND l.number = v.column2 CROSS JOIN tasks AS t ON t.id = l.task";
    let read = Values::new(&select, 2, join);
    let mut claimed = Vec::with_capacity(chosen.len());
    for row in read.fetch(connection, chosen, rows::bind_step).await? {
        let live = rows::live(&row)?;
        let bare = BareTask::read(&mut Columns::from(&row, 14))?;
        let pinned = templates.by_id(connection, bare.template).await?;
        claimed.push(Claimed { task: live.task, pinned, live });
    }
    Ok(claimed)
}

pub(super) async fn due(connection: &mut SqliteConnection, now: Timestamp) -> Result<Due, StoreError> {
    let next = "SELECT min(ready_at) FROM live_steps WHERE state = 3 AND held = 0";
    let first: Option<i64> =
        sqlx::query(next).fetch_one(&mut *connection).await.map_err(translate)?.try_get(0).map_err(translate)?;
    let Some(first) = first.map(Timestamp::from_micros) else { return Ok(Due::default()) };
    if first > now {
        return Ok(Due { ready: 0, next: Some(first) });
    }
    begin(connection).await?;
    let update = "UPDATE live_steps SET state = 1 WHERE (task, number) IN (SELECT task, number FROM live_steps \
                  WHERE state = 3 AND held = 0 AND ready_at <= ? ORDER BY ready_at LIMIT ?)";
    let update = sqlx::query(update).bind(now.as_micros()).bind(DUE_MAX);
    let ready = update.execute(&mut *connection).await.map_err(translate)?.rows_affected();
    let then: Option<i64> =
        sqlx::query(next).fetch_one(&mut *connection).await.map_err(translate)?.try_get(0).map_err(translate)?;
    commit(connection).await?;
    Ok(Due { ready, next: then.map(Timestamp::from_micros) })
}
