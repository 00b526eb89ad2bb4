//! One batch: load, fold, write, commit.

use sqlx::SqliteConnection;
use tasker_types::{StepState, Timestamp};

use super::error::translate;
use super::rows::{self, BareTask, Columns, LIVE, TASK};
use super::sql::{Values, expect};
use super::templates::Templates;
use super::writer::{begin, commit};
use crate::core::{Backlog, Batch, QueueId, Snapshot, StepRef, Writes, fold};
use crate::store::{Committed, StoreError};

pub(super) async fn transact(
    connection: &mut SqliteConnection,
    templates: &Templates,
    batch: &Batch,
) -> Result<Committed, StoreError> {
    let now = batch.now.ok_or_else(|| StoreError::Corrupt("a batch for SQLite carries its time".into()))?;
    begin(connection).await?;
    let (snapshot, backlog) = load(connection, templates, batch, now).await?;
    let writes = fold(snapshot, batch, backlog, now);
    write(connection, &writes).await?;
    commit(connection).await?;
    Ok(Committed::from(writes))
}

async fn load(
    connection: &mut SqliteConnection,
    templates: &Templates,
    batch: &Batch,
    now: Timestamp,
) -> Result<(Snapshot, Backlog), StoreError> {
    let mut snapshot = Snapshot::default();
    let select = format!("SELECT {TASK} FROM (VALUES ");
    let by_id = Values::new(&select, 1, ") AS v CROSS JOIN tasks AS t ON t.id = v.column1");
    for row in by_id
        .fetch(connection, &batch.tasks(), |&task, to| {
            _ = to.add(rows::id(task));
        })
        .await?
    {
        let bare = BareTask::read(&mut Columns::of(&row))?;
        let pinned = templates.by_id(connection, bare.template).await?;
        snapshot.load_task(bare.with(pinned));
    }
    let (steps, whole) = batch.steps(|task| snapshot.task(task).map(|row| row.pinned.clone()));
    let select = format!("SELECT {LIVE} FROM (VALUES ");
    let by_step =
        Values::new(&select, 2, ") AS v CROSS JOIN live_steps AS l ON l.task = v.column1 AND l.number = v.column2");
    for row in by_step.fetch(connection, &steps, rows::bind_step).await? {
        snapshot.load_live(rows::live(&row)?);
    }
    let absent: Vec<StepRef> =
        steps.into_iter().filter(|step| snapshot.live(step.task, step.number).is_none()).collect();
    let over = Values::new(
        "SELECT r.task, r.number, r.outcome, r.attempt FROM (VALUES ",
        2,
        ") AS v CROSS JOIN step_results AS r ON r.task = v.column1 AND r.number = v.column2",
    );
    for row in over.fetch(connection, &absent, rows::bind_step).await? {
        load_over(&mut snapshot, &mut Columns::of(&row))?;
    }
    for task in whole {
        let all = format!("SELECT {LIVE} FROM live_steps AS l WHERE l.task = ?");
        for row in sqlx::query(sqlx::AssertSqlSafe(all))
            .bind(rows::id(task))
            .fetch_all(&mut *connection)
            .await
            .map_err(translate)?
        {
            snapshot.load_live(rows::live(&row)?);
        }
        let all = "SELECT task, number, outcome, attempt FROM step_results WHERE task = ?";
        for row in sqlx::query(all).bind(rows::id(task)).fetch_all(&mut *connection).await.map_err(translate)? {
            load_over(&mut snapshot, &mut Columns::of(&row))?;
        }
    }
    let taken = Values::new("SELECT a.id FROM (VALUES ", 1, ") AS v CROSS JOIN actions AS a ON a.id = v.column1");
    for row in taken
        .fetch(connection, &batch.actions(), |id, to| {
            _ = to.add(id.as_bytes().to_vec());
        })
        .await?
    {
        snapshot.load_action(Columns::of(&row).uuid()?);
    }
    let top_priority = match &batch.capacity {
        Some(capacity) => top_priority(connection, &capacity.queues, now).await?,
        None => None,
    };
    Ok((snapshot, Backlog { top_priority }))
}

fn load_over(snapshot: &mut Snapshot, columns: &mut Columns<'_>) -> Result<(), StoreError> {
    let step = StepRef { task: columns.task()?, number: columns.number()? };
    let (code, attempt): (i16, u32) = (columns.get()?, columns.get()?);
    let outcome = StepState::from_code(code).ok_or_else(|| StoreError::Corrupt(format!("a state is {code}")))?;
    snapshot.load_over(step, outcome, attempt);
    Ok(())
}

/// The highest priority that waits in one of these queues: one probe of the claim's index for each.
async fn top_priority(
    connection: &mut SqliteConnection,
    queues: &[QueueId],
    now: Timestamp,
) -> Result<Option<i16>, StoreError> {
    let probe = Values::new(
        "SELECT max((SELECT priority FROM live_steps WHERE queue = v.column1 AND state = 1 AND held = 0 AND losses = 0 AND ready_at <= v.column2 \
         ORDER BY priority DESC LIMIT 1)) FROM (VALUES ",
        2,
        ") AS v",
    );
    let mut top = None;
    for row in probe
        .fetch(connection, queues, |queue, to| {
            _ = to.add(queue.0).add(now.as_micros());
        })
        .await?
    {
        top = top.max(Columns::of(&row).get::<Option<i16>>()?);
    }
    Ok(top)
}

async fn write(connection: &mut SqliteConnection, writes: &Writes) -> Result<(), StoreError> {
    insert_tasks(connection, writes).await?;
    if !writes.tasks.is_empty() {
        let update = Values::new(
            "UPDATE tasks SET state = v.column2, open_steps = v.column3, runnable = v.column4, started_at = v.column5, finished_at = v.column6 FROM (VALUES ",
            6,
            ") AS v WHERE tasks.id = v.column1",
        );
        let bind = |row: &crate::core::TaskRow, to: &mut super::sql::Binder| {
            to.add(rows::id(row.id)).add(row.state.code()).add(i64::from(row.open_steps)).add(i64::from(row.runnable));
            to.add(row.started_at.map(Timestamp::as_micros)).add(row.finished_at.map(Timestamp::as_micros));
        };
        expect(update.execute(connection, &writes.tasks, bind).await?, writes.tasks.len(), "tasks")?;
    }
    write_live(connection, writes).await?;
    for moved in &writes.reopened {
        let step = StepRef { task: moved.task, number: moved.number };
        reopen(connection, step).await?;
    }
    Values::new("INSERT INTO step_results VALUES ", 11, "")
        .execute(connection, &writes.results, rows::bind_result)
        .await?;
    Values::new("INSERT INTO step_attempts VALUES ", 10, "")
        .execute(connection, &writes.attempts, rows::bind_attempt)
        .await?;
    let bind = |row: &crate::core::ActionRow, to: &mut super::sql::Binder| {
        to.add(row.id.as_bytes().to_vec()).add(rows::id(row.task)).add(row.number.map(|number| i64::from(number.0)));
        to.add(row.kind).add(row.actor.clone()).add(row.reason.clone()).add(row.at.as_micros());
    };
    Values::new("INSERT INTO actions VALUES ", 7, "").execute(connection, &writes.actions, bind).await?;
    Ok(())
}

async fn insert_tasks(connection: &mut SqliteConnection, writes: &Writes) -> Result<(), StoreError> {
    Values::new("INSERT INTO tasks VALUES ", 9, "")
        .execute(connection, &writes.new_tasks, |(row, _), to| rows::bind_task(row, to))
        .await?;
    let bind = |(row, new): &(crate::core::TaskRow, Box<crate::core::NewTask>), to: &mut super::sql::Binder| {
        let input = &new.input;
        to.add(rows::id(row.id)).add(input.context.clone()).add(input.correlation_id.clone());
        to.add(input.initiator.clone()).add(input.source_system.clone()).add(input.reason.clone());
    };
    Values::new("INSERT INTO task_inputs VALUES ", 6, "").execute(connection, &writes.new_tasks, bind).await?;
    Ok(())
}

/// The write lock has been held since the rows were loaded, so what was loaded still stands: each row is found, or the file is damaged.
async fn write_live(connection: &mut SqliteConnection, writes: &Writes) -> Result<(), StoreError> {
    let gone = Values::new("DELETE FROM live_steps WHERE (task, number) IN (VALUES ", 2, ")");
    let bind = |row: &crate::core::Fence, to: &mut super::sql::Binder| {
        _ = to.add(rows::id(row.task)).add(i64::from(row.number.0));
    };
    expect(gone.execute(connection, &writes.live_deletes, bind).await?, writes.live_deletes.len(), "live steps")?;
    Values::new("INSERT INTO live_steps VALUES ", 14, "")
        .execute(connection, &writes.live_inserts, rows::bind_live)
        .await?;
    let update = Values::new(
        "UPDATE live_steps SET state = v.column3, attempt = v.column4, failures = v.column5, losses = v.column6, unmet = v.column7, met = v.column8, \
         ready_at = v.column9, held = v.column10, claimed_by = v.column11, claimed_at = v.column12 FROM (VALUES ",
        14,
        ") AS v WHERE live_steps.task = v.column1 AND live_steps.number = v.column2 AND live_steps.attempt = v.column13 AND live_steps.claimed_by IS v.column14",
    );
    let bind = |(row, fence): &(crate::core::LiveStep, crate::core::Fence), to: &mut super::sql::Binder| {
        to.add(rows::id(row.task))
            .add(i64::from(row.number.0))
            .add(row.state.code())
            .add(i64::from(row.attempt))
            .add(i64::from(row.failures));
        to.add(i64::from(row.losses))
            .add(i64::from(row.unmet))
            .add(row.met)
            .add(row.ready_at.as_micros())
            .add(row.held);
        to.add(rows::worker(row.claimed_by)).add(row.claimed_at.map(Timestamp::as_micros));
        to.add(i64::from(fence.attempt)).add(rows::worker(fence.claimed_by));
    };
    expect(update.execute(connection, &writes.live_updates, bind).await?, writes.live_updates.len(), "live steps")
}

async fn reopen(connection: &mut SqliteConnection, step: StepRef) -> Result<(), StoreError> {
    let copy = "INSERT INTO step_attempts SELECT task, number, attempt, 4, worker, ready_at, claimed_at, finished_at, NULL, detail FROM step_results \
                WHERE task = ? AND number = ?";
    let number = i64::from(step.number.0);
    sqlx::query(copy).bind(rows::id(step.task)).bind(number).execute(&mut *connection).await.map_err(translate)?;
    let gone =
        sqlx::query("DELETE FROM step_results WHERE task = ? AND number = ?").bind(rows::id(step.task)).bind(number);
    expect(gone.execute(&mut *connection).await.map_err(translate)?.rows_affected(), 1, "results")
}
