//! What a batch writes: a few scripts, each with as many statements as have about as many rows.

use sqlx::SqliteConnection;
use tasker_types::Timestamp;

use super::error::translate;
use super::rows::{self, id};
use super::sql::{Binder, Script, Values};
use crate::core::{ActionRow, Fence, LiveStep, NewTask, StepRef, TaskRow, Writes};
use crate::store::StoreError;

pub(super) const NEW_TASKS: Values<'_> = Values::insert("INSERT INTO tasks SELECT * FROM (VALUES ", 9);
pub(super) const INPUTS: Values<'_> = Values::insert("INSERT INTO task_inputs SELECT * FROM (VALUES ", 6);
pub(super) const TASKS: Values<'_> = Values::new(
    "UPDATE tasks SET state = v.column2, open_steps = v.column3, runnable = v.column4, started_at = v.column5, \
     finished_at = v.column6 FROM (VALUES ",
    6,
    ") AS v WHERE tasks.id = v.column1",
);
pub(super) const GONE: Values<'_> = Values::new("DELETE FROM live_steps WHERE (task, number) IN (VALUES ", 2, ")");
pub(super) const LIVE: Values<'_> = Values::insert("INSERT INTO live_steps SELECT * FROM (VALUES ", 14);
pub(super) const CHANGED: Values<'_> = Values::new(
    "UPDATE live_steps SET state = v.column3, attempt = v.column4, failures = v.column5, losses = v.column6, \
     unmet = v.column7, met = v.column8, ready_at = v.column9, held = v.column10, claimed_by = v.column11, \
     claimed_at = v.column12 FROM (VALUES ",
    14,
    ") AS v WHERE live_steps.task = v.column1 AND live_steps.number = v.column2 AND live_steps.attempt = v.column13 \
     AND live_steps.claimed_by IS v.column14",
);
pub(super) const RESULTS: Values<'_> = Values::insert("INSERT INTO step_results SELECT * FROM (VALUES ", 11);
pub(super) const ATTEMPTS: Values<'_> = Values::insert("INSERT INTO step_attempts SELECT * FROM (VALUES ", 10);
pub(super) const ACTIONS: Values<'_> = Values::insert("INSERT INTO actions SELECT * FROM (VALUES ", 7);

/// Writes all of it and commits. The write lock has been held since the rows were loaded, when this connection had
/// written `written` rows, so what was loaded still stands: each row is found, or the file is damaged.
pub(super) async fn write_and_commit(
    connection: &mut SqliteConnection,
    writes: &Writes,
    written: i64,
) -> Result<(), StoreError> {
    for moved in &writes.reopened {
        reopen(connection, StepRef { task: moved.task, number: moved.number }).await?;
    }
    let mut script = Script::default();
    script.add(&NEW_TASKS, &writes.new_tasks, |(row, _), to| rows::bind_task(row, to))?;
    script.add(&INPUTS, &writes.new_tasks, bind_input)?;
    script.add(&TASKS, &writes.tasks, bind_change)?;
    script.add(&GONE, &writes.live_deletes, bind_gone)?;
    script.add(&LIVE, &writes.live_inserts, rows::bind_live)?;
    script.add(&CHANGED, &writes.live_updates, bind_live_change)?;
    script.add(&RESULTS, &writes.results, rows::bind_result)?;
    script.add(&ATTEMPTS, &writes.attempts, rows::bind_attempt)?;
    script.add(&ACTIONS, &writes.actions, bind_action)?;
    script.commit(connection, written + MOVES * i64::try_from(writes.reopened.len()).unwrap_or(i64::MAX)).await
}

/// Rows that [`reopen`] writes: one is copied, one is deleted.
const MOVES: i64 = 2;

fn bind_input((row, new): &(TaskRow, Box<NewTask>), to: &mut Binder) {
    let input = &new.input;
    to.add(id(row.id)).add(&*input.context).add(&*input.correlation_id);
    to.add(&*input.initiator).add(&*input.source_system).add(&*input.reason);
}

fn bind_change(row: &TaskRow, to: &mut Binder) {
    to.add(id(row.id)).add(row.state.code()).add(i64::from(row.open_steps)).add(i64::from(row.runnable));
    to.add(row.started_at.map(Timestamp::as_micros)).add(row.finished_at.map(Timestamp::as_micros));
}

fn bind_gone(row: &Fence, to: &mut Binder) {
    to.add(id(row.task)).add(i64::from(row.number.0));
}

fn bind_live_change((row, fence): &(LiveStep, Fence), to: &mut Binder) {
    to.add(id(row.task)).add(i64::from(row.number.0)).add(row.state.code()).add(i64::from(row.attempt));
    to.add(i64::from(row.failures)).add(i64::from(row.losses)).add(i64::from(row.unmet)).add(row.met);
    to.add(row.ready_at.as_micros()).add(row.held).add(rows::worker(row.claimed_by));
    to.add(row.claimed_at.map(Timestamp::as_micros)).add(i64::from(fence.attempt)).add(rows::worker(fence.claimed_by));
}

fn bind_action(row: &ActionRow, to: &mut Binder) {
    to.add(row.id.as_bytes().to_vec()).add(id(row.task)).add(row.number.map(|number| i64::from(number.0)));
    to.add(row.kind).add(&*row.actor).add(&*row.reason).add(row.at.as_micros());
}

async fn reopen(connection: &mut SqliteConnection, step: StepRef) -> Result<(), StoreError> {
    let copy = "INSERT INTO step_attempts SELECT task, number, attempt, 4, worker, ready_at, claimed_at, finished_at, NULL, \
                detail FROM step_results WHERE task = ? AND number = ?";
    let (task, number) = (id(step.task), i64::from(step.number.0));
    sqlx::query(copy).bind(&task).bind(number).execute(&mut *connection).await.map_err(translate)?;
    let gone = sqlx::query("DELETE FROM step_results WHERE task = ? AND number = ?").bind(&task).bind(number);
    match gone.execute(&mut *connection).await.map_err(translate)?.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::Corrupt(format!("step {} of task {} has no result to reopen", step.number, step.task))),
    }
}
