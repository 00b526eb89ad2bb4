//! What a batch writes: one statement for each kind of row, and every row as it had been loaded, or nothing.

use std::time::Duration;

use tasker_types::TaskId;

use super::rows::{column, count, length, micros, number, worker};
use super::session::{Session, Statement};
use super::{common, event};
use crate::core::{
    ActionRow, AttemptRow, BatchRow, CheckpointRow, Copied, Fence, IdentityRow, LiveStep, Reopened, RerunRow, Writes,
};
use crate::store::StoreError;

pub(super) const CHANGED: &str = "UPDATE tasker.live_steps AS l SET state = v.state, attempt = v.attempt, failures = v.failures, \
                       losses = v.losses, unmet = v.unmet, met = v.met, ready_at = v.ready_at, held = v.held, \
                       claimed_by = v.claimed_by, claimed_at = v.claimed_at FROM unnest($1::uuid[], $2::integer[], \
                       $3::smallint[], $4::integer[], $5::integer[], $6::integer[], $7::integer[], $8::boolean[], \
                       $9::bigint[], $10::boolean[], $11::uuid[], $12::bigint[], $13::integer[], $14::uuid[]) \
                       AS v (task, number, state, attempt, failures, losses, unmet, met, ready_at, held, claimed_by, \
                       claimed_at, old_attempt, old_claimed_by) WHERE l.task = v.task AND l.number = v.number \
                       AND l.attempt = v.old_attempt AND l.claimed_by IS NOT DISTINCT FROM v.old_claimed_by";
const ATTEMPTS: &str = "INSERT INTO tasker.step_attempts SELECT * FROM unnest($1::uuid[], $2::integer[], $3::integer[], \
                        $4::smallint[], $5::uuid[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])";
const BATCHES: &str = "INSERT INTO tasker.batches SELECT * FROM unnest($1::uuid[], $2::integer[], $3::integer[], \
                       $4::integer[], $5::integer[], $6::integer[]) ON CONFLICT (task, number) DO UPDATE \
                       SET next = excluded.next, in_flight = excluded.in_flight, failed = excluded.failed";
const ACTIONS: &str = "INSERT INTO tasker.actions SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], \
                       $5::text[], $6::text[], $7::bigint[])";
/// Results that a task takes over from another one.
pub(super) const COPIED: &str = "INSERT INTO tasker.step_results SELECT $1, r.number, r.outcome, r.cause, r.attempt, r.worker, \
                                 r.ready_at, r.claimed_at, r.finished_at, r.result, r.detail FROM unnest($3::integer[]) \
                                 AS v (number) JOIN tasker.step_results AS r ON r.task = $2 AND r.number = v.number";
pub(super) const CHECKPOINTS: &str = "INSERT INTO tasker.checkpoints SELECT * FROM unnest($1::uuid[], $2::integer[], $3::integer[], \
                                      $4::text[], $5::bigint[]) ON CONFLICT (task, number) DO UPDATE \
                                      SET attempt = excluded.attempt, value = excluded.value, saved_at = excluded.saved_at";
const RERUNS: &str =
    "INSERT INTO tasker.reruns SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::uuid[])";
/// A program that does not know of identities leaves those behind whose tasks it deletes: they mean nothing any more.
const IDENTITIES: &str = "INSERT INTO tasker.identities AS i SELECT * FROM unnest($1::bytea[], $2::uuid[]) \
                          ON CONFLICT (id) DO UPDATE SET task = excluded.task \
                          WHERE NOT EXISTS (SELECT 1 FROM tasker.tasks AS t WHERE t.id = i.task)";
/// A program that does not know of claim timeouts leaves those behind whose tasks it deletes.
const CLAIM_TIMEOUTS: &str = "INSERT INTO tasker.claim_timeouts SELECT * FROM unnest($1::uuid[], $2::bigint[]) \
                              ON CONFLICT (task) DO UPDATE SET timeout = excluded.timeout";
/// Results become attempts: 4 is `reopened`. What an operator ended before another attempt was made has the number of the one
/// before: that keeps what is told of it.
const REOPENED: &str = "WITH moved AS (DELETE FROM tasker.step_results AS r USING unnest($1::uuid[], $2::integer[]) \
                        AS v (task, number) WHERE r.task = v.task AND r.number = v.number RETURNING r.*) \
                        INSERT INTO tasker.step_attempts SELECT task, number, attempt, 4, worker, ready_at, claimed_at, \
                        finished_at, NULL, detail FROM moved \
                        ON CONFLICT (task, number, attempt) DO UPDATE SET outcome = 4, retry_at = NULL";

/// Writes all of it in the transaction that was begun. The locks have been held since the rows were loaded, so what was
/// loaded still stands: each row is found, or the database is damaged.
pub(super) async fn write(session: &mut Session, writes: &Writes) -> Result<(), StoreError> {
    if !writes.reopened.is_empty() {
        expect(session.execute(reopened(&writes.reopened)).await?, writes.reopened.len())?;
    }
    common::write(session, writes).await?;
    if !writes.live_updates.is_empty() {
        expect(session.execute(changed(&writes.live_updates)).await?, writes.live_updates.len())?;
    }
    for rows in &writes.copied {
        expect(session.execute(copied(rows)).await?, rows.steps.len())?;
    }
    if !writes.checkpoints.is_empty() {
        expect(session.execute(checkpoints(&writes.checkpoints)).await?, writes.checkpoints.len())?;
    }
    if !writes.reruns.is_empty() {
        expect(session.execute(reruns(&writes.reruns)).await?, writes.reruns.len())?;
    }
    if !writes.batches.is_empty() {
        expect(session.execute(batches(&writes.batches)).await?, writes.batches.len())?;
    }
    if !writes.attempts.is_empty() {
        expect(session.execute(attempts(&writes.attempts)).await?, writes.attempts.len())?;
    }
    let claim_timeouts = writes.claim_timeouts();
    if !claim_timeouts.is_empty() {
        expect(session.execute(claim_timeout_rows(&claim_timeouts)).await?, claim_timeouts.len())?;
    }
    let identities = writes.identities();
    if !identities.is_empty() {
        expect(session.execute(identity_rows(&identities)).await?, identities.len())?;
    }
    if !writes.actions.is_empty() {
        expect(session.execute(actions(&writes.actions)).await?, writes.actions.len())?;
    }
    event::write(session, &writes.events).await
}

fn expect(touched: u64, wanted: usize) -> Result<(), StoreError> {
    if touched == wanted as u64 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("{touched} of {wanted} rows were as they had been loaded")))
}

fn reopened(rows: &[Reopened]) -> Statement<'_> {
    sqlx::query(REOPENED).bind(column(rows, |row| row.task.uuid())).bind(column(rows, |row| number(row.number)))
}

fn changed(rows: &[(LiveStep, Fence)]) -> Statement<'_> {
    sqlx::query(CHANGED)
        .bind(column(rows, |(row, _)| row.task.uuid()))
        .bind(column(rows, |(row, _)| number(row.number)))
        .bind(column(rows, |(row, _)| row.state.code()))
        .bind(column(rows, |(row, _)| count(row.attempt)))
        .bind(column(rows, |(row, _)| count(row.failures)))
        .bind(column(rows, |(row, _)| count(row.losses)))
        .bind(column(rows, |(row, _)| count(row.unmet)))
        .bind(column(rows, |(row, _)| row.met))
        .bind(column(rows, |(row, _)| row.ready_at.as_micros()))
        .bind(column(rows, |(row, _)| row.held))
        .bind(column(rows, |(row, _)| worker(row.claimed_by)))
        .bind(column(rows, |(row, _)| micros(row.claimed_at)))
        .bind(column(rows, |(_, fence)| count(fence.attempt)))
        .bind(column(rows, |(_, fence)| worker(fence.claimed_by)))
}

fn attempts(rows: &[AttemptRow]) -> Statement<'_> {
    sqlx::query(ATTEMPTS)
        .bind(column(rows, |row| row.task.uuid()))
        .bind(column(rows, |row| number(row.number)))
        .bind(column(rows, |row| count(row.attempt)))
        .bind(column(rows, |row| row.outcome.code()))
        .bind(column(rows, |row| worker(row.worker)))
        .bind(column(rows, |row| micros(row.ready_at)))
        .bind(column(rows, |row| micros(row.claimed_at)))
        .bind(column(rows, |row| row.finished_at.as_micros()))
        .bind(column(rows, |row| micros(row.retry_at)))
        .bind(column(rows, |row| row.detail.as_deref()))
}

fn copied(rows: &Copied) -> Statement<'_> {
    let numbers = column(&rows.steps, |(step, _)| number(*step));
    sqlx::query(COPIED).bind(rows.task.uuid()).bind(rows.source.uuid()).bind(numbers)
}

fn checkpoints(rows: &[CheckpointRow]) -> Statement<'_> {
    sqlx::query(CHECKPOINTS)
        .bind(column(rows, |row| row.task.uuid()))
        .bind(column(rows, |row| number(row.number)))
        .bind(column(rows, |row| count(row.attempt)))
        .bind(column(rows, |row| &*row.value))
        .bind(column(rows, |row| row.saved_at.as_micros()))
}

fn reruns(rows: &[RerunRow]) -> Statement<'_> {
    sqlx::query(RERUNS)
        .bind(column(rows, |row| row.task.uuid()))
        .bind(column(rows, |row| row.source.uuid()))
        .bind(column(rows, |row| number(row.from)))
        .bind(column(rows, |row| row.action))
}

fn batches(rows: &[BatchRow]) -> Statement<'_> {
    sqlx::query(BATCHES)
        .bind(column(rows, |row| row.task.uuid()))
        .bind(column(rows, |row| number(row.number)))
        .bind(column(rows, |row| count(row.count)))
        .bind(column(rows, |row| count(row.next)))
        .bind(column(rows, |row| count(row.in_flight)))
        .bind(column(rows, |row| count(row.failed)))
}

fn identity_rows(rows: &[IdentityRow]) -> Statement<'_> {
    sqlx::query(IDENTITIES).bind(column(rows, |row| row.identity.0.to_vec())).bind(column(rows, |row| row.task.uuid()))
}

fn claim_timeout_rows(rows: &[(TaskId, Duration)]) -> Statement<'_> {
    sqlx::query(CLAIM_TIMEOUTS)
        .bind(column(rows, |(task, _)| task.uuid()))
        .bind(column(rows, |&(_, timeout)| length(timeout)))
}

fn actions(rows: &[ActionRow]) -> Statement<'_> {
    sqlx::query(ACTIONS)
        .bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.task.uuid()))
        .bind(column(rows, |row| row.number.map(number)))
        .bind(column(rows, |row| row.kind))
        .bind(column(rows, |row| &*row.actor))
        .bind(column(rows, |row| &*row.reason))
        .bind(column(rows, |row| row.at.as_micros()))
}
