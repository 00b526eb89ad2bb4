//! Rows of the tables, read and bound.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};
use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp, WorkerId};
use uuid::Uuid;

use super::error::translate;
use super::sql::Binder;
use super::templates::Templates;
use crate::core::{
    AttemptOutcome, AttemptRow, BatchRow, Cause, CheckpointRow, LiveStep, Pinned, QueueId, RerunRow, ResultRow,
    StepRef, TaskInput, TaskRow,
};
use crate::store::StoreError;

pub(super) const TASK: &str =
    "t.id, t.template, t.state, t.open_steps, t.runnable, t.priority, t.created_at, t.started_at, t.finished_at";
pub(super) const LIVE: &str = "l.task, l.number, l.state, l.attempt, l.failures, l.losses, l.unmet, l.met, l.queue, l.priority, l.ready_at, l.held, l.claimed_by, l.claimed_at";
pub(super) const RESULT: &str = "r.task, r.number, r.outcome, r.cause, r.attempt, r.worker, r.ready_at, r.claimed_at, r.finished_at, r.result, r.detail";
pub(super) const BATCHES_OF: &str =
    "SELECT task, number, count, next, in_flight, failed FROM batches WHERE task = ? ORDER BY number";
pub(super) const ATTEMPT: &str =
    "a.task, a.number, a.attempt, a.outcome, a.worker, a.ready_at, a.claimed_at, a.finished_at, a.retry_at, a.detail";

/// A row whose columns are read in order.
pub(super) struct Columns<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn get<T: FromSql>(&mut self) -> Result<T, StoreError> {
        let at = self.next;
        self.next += 1;
        self.row.get(at).map_err(translate)
    }

    /// Text that is looked at where it stands.
    pub(super) fn str(&mut self) -> Result<&'r str, StoreError> {
        let at = self.next;
        self.next += 1;
        let value = self.row.get_ref(at).map_err(translate)?;
        value.as_str().map_err(|error| StoreError::Corrupt(format!("a text: {error}")))
    }

    /// The same, where there is any.
    pub(super) fn maybe_str(&mut self) -> Result<Option<&'r str>, StoreError> {
        let at = self.next;
        self.next += 1;
        let value = self.row.get_ref(at).map_err(translate)?;
        value.as_str_or_null().map_err(|error| StoreError::Corrupt(format!("a text: {error}")))
    }

    fn count(&mut self) -> Result<u32, StoreError> {
        let value: i64 = self.get()?;
        u32::try_from(value).map_err(|_| StoreError::Corrupt(format!("a count is {value}")))
    }

    pub(super) fn task(&mut self) -> Result<TaskId, StoreError> {
        Ok(TaskId::from_uuid(self.uuid()?))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, StoreError> {
        self.get().map(Uuid::from_bytes)
    }

    pub(super) fn number(&mut self) -> Result<StepNumber, StoreError> {
        Ok(StepNumber(self.count()?))
    }

    pub(super) fn worker(&mut self) -> Result<Option<WorkerId>, StoreError> {
        Ok(self.get::<Option<[u8; 16]>>()?.map(|bytes| WorkerId(Uuid::from_bytes(bytes))))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.get().map(Timestamp::from_micros)
    }

    pub(super) fn maybe_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    pub(super) fn text(&mut self) -> Result<Option<Arc<str>>, StoreError> {
        self.get()
    }

    pub(super) fn code<T>(&mut self, from: fn(i16) -> Option<T>) -> Result<T, StoreError> {
        let code: i16 = self.get()?;
        from(code).ok_or_else(|| StoreError::Corrupt(format!("a state is {code}")))
    }
}

/// The next column.
pub(super) fn value<T: FromSql>(columns: &mut Columns<'_>) -> Result<T, StoreError> {
    columns.get()
}

/// A row of `TASK`, but for its template.
pub(super) struct BareTask {
    template: i64,
    row: (TaskId, TaskState, u32, u32, i16, Timestamp, Option<Timestamp>, Option<Timestamp>),
}

impl BareTask {
    pub(super) fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        let (id, template) = (columns.task()?, columns.get()?);
        let (state, open, runnable, priority) =
            (columns.code(TaskState::from_code)?, columns.count()?, columns.count()?, columns.get()?);
        Ok(Self {
            template,
            row: (id, state, open, runnable, priority, columns.time()?, columns.maybe_time()?, columns.maybe_time()?),
        })
    }

    /// With its template, which is read where this process has not met it yet.
    pub(super) fn pinned(self, connection: &Connection, templates: &Templates) -> Result<TaskRow, StoreError> {
        let pinned = templates.by_id(connection, self.template)?;
        Ok(self.with(pinned))
    }

    fn with(self, pinned: Arc<Pinned>) -> TaskRow {
        let (id, state, open_steps, runnable, priority, created_at, started_at, finished_at) = self.row;
        TaskRow { id, pinned, state, open_steps, runnable, priority, created_at, started_at, finished_at }
    }
}

pub(super) fn input(columns: &mut Columns<'_>) -> Result<TaskInput, StoreError> {
    Ok(TaskInput {
        context: columns.get()?,
        correlation_id: columns.get()?,
        initiator: columns.get()?,
        source_system: columns.get()?,
        reason: columns.get()?,
        // In a table of its own: nearly no task has one.
        claim_timeout: None,
    })
}

pub(super) fn live(c: &mut Columns<'_>) -> Result<LiveStep, StoreError> {
    Ok(LiveStep {
        task: c.task()?,
        number: c.number()?,
        state: c.code(StepState::from_code)?,
        attempt: c.count()?,
        failures: c.count()?,
        losses: c.count()?,
        unmet: c.count()?,
        met: c.get()?,
        queue: QueueId(c.get()?),
        priority: c.get()?,
        ready_at: c.time()?,
        held: c.get()?,
        claimed_by: c.worker()?,
        claimed_at: c.maybe_time()?,
    })
}

pub(super) fn result(c: &mut Columns<'_>) -> Result<ResultRow, StoreError> {
    Ok(ResultRow {
        task: c.task()?,
        number: c.number()?,
        outcome: c.code(StepState::from_code)?,
        cause: c.code(Cause::from_code)?,
        attempt: c.count()?,
        worker: c.worker()?,
        ready_at: c.maybe_time()?,
        claimed_at: c.maybe_time()?,
        finished_at: c.time()?,
        result: c.text()?,
        detail: c.text()?,
    })
}

pub(super) fn attempt(c: &mut Columns<'_>) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        task: c.task()?,
        number: c.number()?,
        attempt: c.count()?,
        outcome: c.code(AttemptOutcome::from_code)?,
        worker: c.worker()?,
        ready_at: c.maybe_time()?,
        claimed_at: c.maybe_time()?,
        finished_at: c.time()?,
        retry_at: c.maybe_time()?,
        detail: c.text()?,
    })
}

pub(super) fn id(task: TaskId) -> [u8; 16] {
    task.uuid().into_bytes()
}

pub(super) fn worker(worker: Option<WorkerId>) -> Option<[u8; 16]> {
    worker.map(|worker| worker.0.into_bytes())
}

pub(super) fn length(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn duration(columns: &mut Columns<'_>) -> Result<Duration, StoreError> {
    Ok(Duration::from_micros(columns.get::<i64>()?.unsigned_abs()))
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}

pub(super) fn bind_step(step: &StepRef, to: &mut Binder<'_, '_>) {
    to.add(id(step.task)).add(i64::from(step.number.0));
}

pub(super) fn bind_live(row: &LiveStep, to: &mut Binder<'_, '_>) {
    to.add(id(row.task))
        .add(i64::from(row.number.0))
        .add(row.state.code())
        .add(i64::from(row.attempt))
        .add(i64::from(row.failures));
    to.add(i64::from(row.losses)).add(i64::from(row.unmet)).add(row.met).add(row.queue.0).add(row.priority);
    to.add(row.ready_at.as_micros()).add(row.held).add(worker(row.claimed_by)).add(micros(row.claimed_at));
}

pub(super) fn bind_result(row: &ResultRow, to: &mut Binder<'_, '_>) {
    to.add(id(row.task))
        .add(i64::from(row.number.0))
        .add(row.outcome.code())
        .add(row.cause.code())
        .add(i64::from(row.attempt));
    to.add(worker(row.worker)).add(micros(row.ready_at)).add(micros(row.claimed_at)).add(row.finished_at.as_micros());
    to.add(&row.result).add(&row.detail);
}

pub(super) fn batch(c: &mut Columns<'_>) -> Result<BatchRow, StoreError> {
    let (task, number, count, next) = (c.task()?, c.number()?, c.count()?, c.count()?);
    Ok(BatchRow { task, number, count, next, in_flight: c.count()?, failed: c.count()? })
}

pub(super) const CHECKPOINTS_OF: &str =
    "SELECT task, number, attempt, value, saved_at FROM checkpoints WHERE task = ? ORDER BY number";

pub(super) fn checkpoint(c: &mut Columns<'_>) -> Result<CheckpointRow, StoreError> {
    let (task, number, attempt) = (c.task()?, c.number()?, c.count()?);
    Ok(CheckpointRow { task, number, attempt, value: c.get()?, saved_at: c.time()? })
}

pub(super) const RERUN: &str = "r.task, r.source, r.number, r.action";

pub(super) fn rerun(c: &mut Columns<'_>) -> Result<RerunRow, StoreError> {
    Ok(RerunRow { task: c.task()?, source: c.task()?, from: c.number()?, action: c.uuid()? })
}

pub(super) fn bind_batch(row: &BatchRow, to: &mut Binder<'_, '_>) {
    to.add(id(row.task)).add(i64::from(row.number.0)).add(i64::from(row.count));
    to.add(i64::from(row.next)).add(i64::from(row.in_flight)).add(i64::from(row.failed));
}

pub(super) fn bind_attempt(row: &AttemptRow, to: &mut Binder<'_, '_>) {
    to.add(id(row.task))
        .add(i64::from(row.number.0))
        .add(i64::from(row.attempt))
        .add(row.outcome.code())
        .add(worker(row.worker));
    to.add(micros(row.ready_at))
        .add(micros(row.claimed_at))
        .add(row.finished_at.as_micros())
        .add(micros(row.retry_at))
        .add(&row.detail);
}

pub(super) fn bind_task(row: &TaskRow, to: &mut Binder<'_, '_>) {
    to.add(id(row.id))
        .add(row.pinned.id.0)
        .add(row.state.code())
        .add(i64::from(row.open_steps))
        .add(i64::from(row.runnable));
    to.add(row.priority).add(row.created_at.as_micros()).add(micros(row.started_at)).add(micros(row.finished_at));
}
