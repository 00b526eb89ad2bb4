//! Rows of the tables, read; and columns of many rows, bound.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tasker_types::{StepNumber, StepState, TaskId, TaskState, Timestamp, WorkerId};
use uuid::Uuid;

use super::error::translate;
use crate::core::{
    AttemptOutcome, AttemptRow, BatchRow, Cause, CheckpointRow, Identity, IdentityRow, LiveStep, Pinned, QueueId,
    RerunRow, ResultRow, StepRef, TaskInput, TaskRow,
};
use crate::store::StoreError;

/// The columns of a task, of a live row and so on, in the order in which they are read here.
macro_rules! task_columns {
    () => {
        "t.id, t.template, t.state, t.open_steps, t.runnable, t.priority, t.created_at, t.started_at, t.finished_at"
    };
}
macro_rules! input_columns {
    () => {
        "i.context, i.correlation_id, i.initiator, i.source_system, i.reason"
    };
}
macro_rules! live_columns {
    () => {
        "l.task, l.number, l.state, l.attempt, l.failures, l.losses, l.unmet, l.met, l.queue, l.priority, l.ready_at, \
         l.held, l.claimed_by, l.claimed_at"
    };
}
/// The time of a call: the caller's where this parameter has it, else the server's own at this statement.
macro_rules! moment {
    ($parameter:literal) => {
        concat!("coalesce(", $parameter, "::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)")
    };
}
pub(super) use {input_columns, live_columns, moment, task_columns};

/// A duration as the tables have it.
pub(super) fn length(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn duration(row: &PgRow) -> Result<Duration, StoreError> {
    Ok(Duration::from_micros(Columns::of(row).get::<i64>()?.unsigned_abs()))
}

/// How many columns a task has.
pub(super) const TASK_COLUMNS: usize = 9;
/// How many columns a live row has.
pub(super) const LIVE_COLUMNS: usize = 14;

/// A row whose columns are read in order.
pub(super) struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r PgRow) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn from(row: &'r PgRow, first: usize) -> Self {
        Self { row, next: first }
    }

    pub(super) fn get<T>(&mut self) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let at = self.next;
        self.next += 1;
        self.row.try_get(at).map_err(translate)
    }

    pub(super) fn count(&mut self) -> Result<u32, StoreError> {
        let value: i32 = self.get()?;
        u32::try_from(value).map_err(|_| StoreError::Corrupt(format!("a count is {value}")))
    }

    pub(super) fn task(&mut self) -> Result<TaskId, StoreError> {
        Ok(TaskId::from_uuid(self.get()?))
    }

    pub(super) fn number(&mut self) -> Result<StepNumber, StoreError> {
        Ok(StepNumber(self.count()?))
    }

    pub(super) fn step(&mut self) -> Result<StepRef, StoreError> {
        Ok(StepRef { task: self.task()?, number: self.number()? })
    }

    pub(super) fn worker(&mut self) -> Result<Option<WorkerId>, StoreError> {
        Ok(self.get::<Option<Uuid>>()?.map(WorkerId))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.get().map(Timestamp::from_micros)
    }

    pub(super) fn maybe_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    pub(super) fn text(&mut self) -> Result<Option<Arc<str>>, StoreError> {
        Ok(self.get::<Option<&str>>()?.map(Into::into))
    }

    pub(super) fn code<T>(&mut self, from: fn(i16) -> Option<T>) -> Result<T, StoreError> {
        let code: i16 = self.get()?;
        from(code).ok_or_else(|| StoreError::Corrupt(format!("a state is {code}")))
    }
}

/// A row of `task_columns`, but for its template.
pub(super) struct BareTask {
    pub(super) template: i64,
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

    pub(super) fn with(self, pinned: Arc<Pinned>) -> TaskRow {
        let (id, state, open_steps, runnable, priority, created_at, started_at, finished_at) = self.row;
        TaskRow { id, pinned, state, open_steps, runnable, priority, created_at, started_at, finished_at }
    }
}

pub(super) fn input(c: &mut Columns<'_>) -> Result<TaskInput, StoreError> {
    Ok(TaskInput {
        context: c.get::<&str>()?.into(),
        correlation_id: c.get()?,
        initiator: c.get()?,
        source_system: c.get()?,
        reason: c.get()?,
        // In a table of its own: nearly no task has one.
        claim_timeout: None,
    })
}

pub(super) fn live(row: &PgRow) -> Result<LiveStep, StoreError> {
    live_of(&mut Columns::of(row))
}

pub(super) fn live_of(c: &mut Columns<'_>) -> Result<LiveStep, StoreError> {
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

pub(super) const BATCHES_OF: &str = "SELECT b.task, b.number, b.count, b.next, b.in_flight, b.failed FROM tasker.batches AS b \
                                     WHERE b.task = ANY($1) ORDER BY b.task, b.number";

pub(super) const IDENTITIES_OF: &str =
    "SELECT i.id, i.task FROM tasker.identities AS i WHERE i.task = ANY($1) ORDER BY i.id";

pub(super) fn identity(columns: &mut Columns<'_>) -> Result<Identity, StoreError> {
    let bytes: &[u8] = columns.get()?;
    let known = bytes.try_into().map_err(|_| StoreError::Corrupt(format!("an identity has {} bytes", bytes.len())))?;
    Ok(Identity(known))
}

pub(super) fn identity_row(row: &PgRow) -> Result<IdentityRow, StoreError> {
    let columns = &mut Columns::of(row);
    Ok(IdentityRow { identity: identity(columns)?, task: columns.task()? })
}

pub(super) fn batch(row: &PgRow) -> Result<BatchRow, StoreError> {
    let c = &mut Columns::of(row);
    let (task, number, count, next) = (c.task()?, c.number()?, c.count()?, c.count()?);
    Ok(BatchRow { task, number, count, next, in_flight: c.count()?, failed: c.count()? })
}

pub(super) fn checkpoint(row: &PgRow) -> Result<CheckpointRow, StoreError> {
    let c = &mut Columns::of(row);
    let (task, number, attempt) = (c.task()?, c.number()?, c.count()?);
    Ok(CheckpointRow { task, number, attempt, value: c.get::<&str>()?.into(), saved_at: c.time()? })
}

pub(super) fn rerun(row: &PgRow) -> Result<RerunRow, StoreError> {
    let c = &mut Columns::of(row);
    Ok(RerunRow { task: c.task()?, source: c.task()?, from: c.number()?, action: c.get()? })
}

pub(super) fn result(row: &PgRow) -> Result<ResultRow, StoreError> {
    let c = &mut Columns::of(row);
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

pub(super) fn attempt(row: &PgRow) -> Result<AttemptRow, StoreError> {
    let c = &mut Columns::of(row);
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

/// One column of many rows, as the array that `unnest` takes.
pub(super) fn column<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// A count as the database holds it.
pub(super) fn count(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

pub(super) fn number(number: StepNumber) -> i32 {
    count(number.0)
}

pub(super) fn worker(worker: Option<WorkerId>) -> Option<Uuid> {
    worker.map(|worker| worker.0)
}

pub(super) fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}

pub(super) fn uuids(tasks: &[TaskId]) -> Vec<Uuid> {
    column(tasks, |task| task.uuid())
}
