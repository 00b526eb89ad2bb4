//! What a batch writes: each kind of row with a statement of its own.

use std::time::Duration;

use rusqlite::Connection;
use tasker_types::{StepNumber, TaskId, Timestamp};

use super::event;
use super::rows::{self, id};
use super::sql::{Binder, execute_all};
use crate::core::{
    ActionRow, CheckpointRow, Copied, Fence, IdentityRow, LiveStep, NewTask, Reopened, RerunRow, TaskRow, Writes,
};
use crate::store::StoreError;

pub(super) const NEW_TASKS: &str = "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const INPUTS: &str = "INSERT INTO task_inputs VALUES (?, ?, ?, ?, ?, ?)";
pub(super) const TASKS: &str =
    "UPDATE tasks SET state = ?2, open_steps = ?3, runnable = ?4, started_at = ?5, finished_at = ?6 WHERE id = ?1";
pub(super) const GONE: &str = "DELETE FROM live_steps WHERE task = ? AND number = ?";
pub(super) const LIVE: &str = "INSERT INTO live_steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const CHANGED: &str = "UPDATE live_steps SET state = ?3, attempt = ?4, failures = ?5, losses = ?6, unmet = ?7, met = ?8, \
                                  ready_at = ?9, held = ?10, claimed_by = ?11, claimed_at = ?12 \
                                  WHERE task = ?1 AND number = ?2 AND attempt = ?13 AND claimed_by IS ?14";
pub(super) const RESULTS: &str = "INSERT INTO step_results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const ATTEMPTS: &str = "INSERT INTO step_attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const BATCHES: &str = "INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (task, number) \
                                  DO UPDATE SET next = ?4, in_flight = ?5, failed = ?6";
pub(super) const ACTIONS: &str = "INSERT INTO actions VALUES (?, ?, ?, ?, ?, ?, ?)";

/// Writes all of it. The write lock has been held since the rows were loaded, so what was loaded still stands: each row is
/// found, or the file is damaged.
pub(super) fn write(c: &Connection, writes: &Writes) -> Result<(), StoreError> {
    execute_all(c, REOPENED, &writes.reopened, bind_reopened)?;
    execute_all(c, NO_RESULT, &writes.reopened, bind_reopened)?;
    execute_all(c, NEW_TASKS, &writes.new_tasks, |(row, _), to| rows::bind_task(row, to))?;
    execute_all(c, INPUTS, &writes.new_tasks, bind_input)?;
    execute_all(c, CLAIM_TIMEOUTS, &writes.claim_timeouts(), bind_claim_timeout)?;
    execute_all(c, TASKS, &writes.tasks, bind_change)?;
    execute_all(c, GONE, &writes.live_deletes, bind_gone)?;
    execute_all(c, LIVE, &writes.live_inserts, rows::bind_live)?;
    execute_all(c, CHANGED, &writes.live_updates, bind_live_change)?;
    execute_all(c, RESULTS, &writes.results, rows::bind_result)?;
    for copied in &writes.copied {
        execute_all(c, COPIED, &copied.steps, |&(number, _), to| bind_copied(copied, number, to))?;
    }
    execute_all(c, BATCHES, &writes.batches, rows::bind_batch)?;
    execute_all(c, CHECKPOINTS, &writes.checkpoints, bind_checkpoint)?;
    execute_all(c, RERUNS, &writes.reruns, bind_rerun)?;
    execute_all(c, ATTEMPTS, &writes.attempts, rows::bind_attempt)?;
    execute_all(c, IDENTITIES, &writes.identities(), bind_identity)?;
    execute_all(c, ACTIONS, &writes.actions, bind_action)?;
    event::write(c, &writes.events)
}

/// A result that a task takes over from another one.
pub(super) const COPIED: &str = "INSERT INTO step_results SELECT ?1, number, outcome, cause, attempt, worker, ready_at, claimed_at, \
                                 finished_at, result, detail FROM step_results WHERE task = ?2 AND number = ?3";
pub(super) const CHECKPOINTS: &str = "INSERT INTO checkpoints VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (task, number) \
                                      DO UPDATE SET attempt = ?3, value = ?4, saved_at = ?5";
pub(super) const RERUNS: &str = "INSERT INTO reruns VALUES (?, ?, ?, ?)";
/// A program that does not know of identities leaves those behind whose tasks it deletes: they mean nothing any more.
const IDENTITIES: &str = "INSERT INTO identities VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET task = excluded.task \
                          WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = identities.task)";

/// A program that does not know of claim timeouts leaves those behind whose tasks it deletes.
const CLAIM_TIMEOUTS: &str =
    "INSERT INTO claim_timeouts VALUES (?, ?) ON CONFLICT (task) DO UPDATE SET timeout = excluded.timeout";

fn bind_claim_timeout(&(task, timeout): &(TaskId, Duration), to: &mut Binder<'_, '_>) {
    to.add(id(task)).add(rows::length(timeout));
}

fn bind_identity(row: &IdentityRow, to: &mut Binder<'_, '_>) {
    to.add(row.identity.0).add(id(row.task));
}

/// A result that an operator reopens becomes an attempt.
/// What an operator ended before another attempt was made has the number of the one before: that keeps what is told of it.
const REOPENED: &str = "INSERT INTO step_attempts SELECT task, number, attempt, 4, worker, ready_at, claimed_at, finished_at, NULL, \
                        detail FROM step_results WHERE task = ? AND number = ? \
                        ON CONFLICT (task, number, attempt) DO UPDATE SET outcome = 4, retry_at = NULL";
const NO_RESULT: &str = "DELETE FROM step_results WHERE task = ? AND number = ?";

fn bind_reopened(row: &Reopened, to: &mut Binder<'_, '_>) {
    to.add(id(row.task)).add(row.number.0);
}

fn bind_copied(copied: &Copied, number: StepNumber, to: &mut Binder<'_, '_>) {
    to.add(id(copied.task)).add(id(copied.source)).add(i64::from(number.0));
}

fn bind_checkpoint(row: &CheckpointRow, to: &mut Binder<'_, '_>) {
    to.add(id(row.task)).add(i64::from(row.number.0)).add(i64::from(row.attempt));
    to.add(&*row.value).add(row.saved_at.as_micros());
}

fn bind_rerun(row: &RerunRow, to: &mut Binder<'_, '_>) {
    to.add(id(row.task)).add(id(row.source)).add(i64::from(row.from.0)).add(row.action.into_bytes());
}

fn bind_input((row, new): &(TaskRow, Box<NewTask>), to: &mut Binder<'_, '_>) {
    let input = &new.input;
    to.add(id(row.id)).add(&*input.context).add(&*input.correlation_id);
    to.add(&*input.initiator).add(&*input.source_system).add(&*input.reason);
}

fn bind_change(row: &TaskRow, to: &mut Binder<'_, '_>) {
    to.add(id(row.id)).add(row.state.code()).add(i64::from(row.open_steps)).add(i64::from(row.runnable));
    to.add(row.started_at.map(Timestamp::as_micros)).add(row.finished_at.map(Timestamp::as_micros));
}

fn bind_gone(row: &Fence, to: &mut Binder<'_, '_>) {
    to.add(id(row.task)).add(i64::from(row.number.0));
}

fn bind_live_change((row, fence): &(LiveStep, Fence), to: &mut Binder<'_, '_>) {
    to.add(id(row.task)).add(i64::from(row.number.0)).add(row.state.code()).add(i64::from(row.attempt));
    to.add(i64::from(row.failures)).add(i64::from(row.losses)).add(i64::from(row.unmet)).add(row.met);
    to.add(row.ready_at.as_micros()).add(row.held).add(rows::worker(row.claimed_by));
    to.add(row.claimed_at.map(Timestamp::as_micros)).add(i64::from(fence.attempt)).add(rows::worker(fence.claimed_by));
}

fn bind_action(row: &ActionRow, to: &mut Binder<'_, '_>) {
    to.add(*row.id.as_bytes()).add(id(row.task)).add(row.number.map(|number| i64::from(number.0)));
    to.add(row.kind).add(&*row.actor).add(&*row.reason).add(row.at.as_micros());
}
