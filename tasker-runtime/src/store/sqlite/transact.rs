//! One batch: load, fold, write, commit.

use sqlx::SqliteConnection;
use tasker_types::Timestamp;

use super::cache::Cache;
use super::error::translate;
use super::load::load;
use super::rows;
use super::sql::Values;
use super::templates::Templates;
use super::writer::{begin, commit};
use crate::core::{Batch, StepRef, Writes, fold};
use crate::store::{Committed, StoreError};

pub(super) async fn transact(
    connection: &mut SqliteConnection,
    templates: &Templates,
    cache: &mut Cache,
    batch: &Batch,
) -> Result<Committed, StoreError> {
    let now = batch.now.ok_or_else(|| StoreError::Corrupt("a batch for SQLite carries its time".into()))?;
    begin(connection).await?;
    let (snapshot, backlog) = load(connection, templates, cache, batch, now).await?;
    let writes = fold(snapshot, batch, backlog, now);
    write(connection, &writes).await?;
    commit(connection).await?;
    cache.committed(&writes);
    Ok(writes.into())
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

fn expect(touched: u64, wanted: usize, what: &str) -> Result<(), StoreError> {
    if touched == wanted as u64 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("{touched} of {wanted} {what} were as they had been loaded")))
}
