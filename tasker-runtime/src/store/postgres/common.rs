//! What nearly every batch writes, in one statement: fewer round trips, not another order.

use std::sync::OnceLock;

use sqlx::Postgres;

use super::message::{Cell, Cells, Kept, Message};
use super::rows::{Columns, column, count, micros, number, worker};
use super::session::{Session, Statement};
use crate::core::{Fence, LiveStep, NewTask, ResultRow, TaskInput, TaskRow, Writes};
use crate::store::StoreError;

/// Rows of one kind. A statement has those parts for which a batch has rows.
struct Part {
    name: &'static str,
    /// The statement, to its rows.
    before: &'static str,
    /// The types of the columns of its rows.
    types: &'static [&'static str],
    /// What comes after its rows.
    after: &'static str,
}

/// Its template is looked up by whoever inserts a task: where it is not stored, the counts tell. By its key, for each task:
/// a join may go through all templates.
const NEW: [Part; 2] = [
    Part {
        name: "accepted",
        before: "INSERT INTO tasker.tasks SELECT v.* FROM ",
        types: &["uuid", "bigint", "smallint", "integer", "integer", "smallint", "bigint", "bigint", "bigint"],
        after: " AS v (id, template, state, open_steps, runnable, priority, created_at, started_at, finished_at) \
                WHERE (SELECT true FROM tasker.templates AS p WHERE p.id = v.template) RETURNING 1",
    },
    Part {
        name: "inputs",
        before: "INSERT INTO tasker.task_inputs SELECT v.* FROM ",
        types: &["uuid", "text", "text", "text", "text", "text"],
        after: " AS v",
    },
];
const CHANGED: Part = Part {
    name: "changed",
    before: "UPDATE tasker.tasks AS t SET state = v.state, open_steps = v.open_steps, runnable = v.runnable, \
             started_at = v.started_at, finished_at = v.finished_at FROM ",
    types: &["uuid", "smallint", "integer", "integer", "bigint", "bigint"],
    after: " AS v (id, state, open_steps, runnable, started_at, finished_at) WHERE t.id = v.id RETURNING 1",
};
/// `IS NOT DISTINCT FROM`, as no index can serve it: with `=` a plan may begin at the worker instead of the step.
const GONE: Part = Part {
    name: "gone",
    before: "DELETE FROM tasker.live_steps AS l USING ",
    types: &["uuid", "integer", "integer", "uuid"],
    after: " AS v (task, number, attempt, claimed_by) WHERE l.task = v.task AND l.number = v.number \
            AND l.attempt = v.attempt AND l.claimed_by IS NOT DISTINCT FROM v.claimed_by RETURNING 1",
};
const LIVE: Part = Part {
    name: "live",
    before: "INSERT INTO tasker.live_steps SELECT v.* FROM ",
    types: &[
        "uuid", "integer", "smallint", "integer", "integer", "integer", "integer", "boolean", "bigint", "smallint",
        "bigint", "boolean", "uuid", "bigint",
    ],
    after: " AS v",
};
const RESULTS: Part = Part {
    name: "results",
    before: "INSERT INTO tasker.step_results SELECT v.* FROM ",
    types: &[
        "uuid", "integer", "smallint", "smallint", "integer", "uuid", "bigint", "bigint", "bigint", "text", "text",
    ],
    after: " AS v",
};

/// How rows are read out of the arrays that they come in, one a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// By their place. An array with texts or NULLs is counted through for each row.
    Few,
    /// By `unnest`, which makes a table of each column first.
    Many,
}

const FEW: usize = 256;

impl Rows {
    fn of(counts: [usize; 5]) -> Self {
        match counts.into_iter().max() {
            Some(..=FEW) => Self::Few,
            _ => Self::Many,
        }
    }

    /// The rows whose columns are the parameters from `first` on.
    fn source(self, types: &[&str], first: usize) -> String {
        let column = |(at, of): (usize, &&str)| format!("${}::{of}[]", first + at);
        let columns = types.iter().enumerate().map(column);
        match self {
            Self::Few => {
                let keys = column((0, &types[0]));
                let cells: Vec<_> = columns.map(|column| format!("({column})[i]")).collect();
                format!("(SELECT {} FROM generate_series(1, cardinality({keys})) AS i)", cells.join(", "))
            }
            Self::Many => format!("unnest({})", columns.collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Which kinds of rows a batch writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds {
    new: bool,
    changed: bool,
    gone: bool,
    live: bool,
    results: bool,
}

impl Kinds {
    #[cfg(test)]
    pub(super) const ALL: Self = Self { new: true, changed: true, gone: true, live: true, results: true };

    fn of([new, changed, gone, live, results]: [usize; 5]) -> Self {
        Self { new: new > 0, changed: changed > 0, gone: gone > 0, live: live > 0, results: results > 0 }
    }

    fn all(self) -> [bool; 5] {
        [self.new, self.changed, self.gone, self.live, self.results]
    }

    fn parts(self) -> impl Iterator<Item = &'static Part> {
        let [new, changed, gone, live, results] = self.all();
        let rest = [(changed, &CHANGED), (gone, &GONE), (live, &LIVE), (results, &RESULTS)];
        let new = new.then_some(&NEW).into_iter().flatten();
        new.chain(rest.into_iter().filter_map(|(has, part)| has.then_some(part)))
    }

    /// The statement, made once.
    pub(super) fn text(self, rows: Rows) -> &'static str {
        static TEXTS: [[OnceLock<String>; 32]; 2] = [const { [const { OnceLock::new() }; 32] }; 2];
        TEXTS[rows as usize][self.place()].get_or_init(|| {
            let (text, counted) = self.written(|types, first| rows.source(types, first));
            format!("{text} SELECT {counted}")
        })
    }

    fn place(self) -> usize {
        self.all().into_iter().fold(0, |place, has| place * 2 + usize::from(has))
    }

    /// The statement for one row of each kind, which come as one array; made once. It fails where a row is missing.
    pub(super) fn one(self) -> &'static Kept {
        static ONES: [OnceLock<Kept>; 32] = [const { OnceLock::new() }; 32];
        ONES[self.place()].get_or_init(|| {
            let source = |types: &[&str], first| {
                let cells: Vec<_> = types.iter().zip(first..).map(|(of, place)| Cells::read(place, of)).collect();
                format!("(SELECT {})", cells.join(", "))
            };
            let (text, counted) = self.written(source);
            let wanted = usize::from(self.new) + usize::from(self.changed) + usize::from(self.gone);
            Kept {
                name: format!("tasker_write_{}", self.place()).into(),
                types: "text[]",
                // What is no number fails the statement, and is told.
                text: format!(
                    "{text} SELECT CASE c.counted WHEN {wanted} THEN 1 ELSE (c.counted || ' of {wanted} {AS_LOADED}')::integer END \
                     FROM (SELECT {counted} AS counted) AS c"
                )
                .into(),
            }
        })
    }

    /// The rows of all kinds, in the order of the statement's parts.
    fn bind<'q, T: Takes<'q>>(self, to: T, writes: &'q Writes) -> T {
        let Writes { new_tasks, tasks, live_inserts, live_deletes, results, .. } = writes;
        let to = if self.new { bind_new(to, new_tasks) } else { to };
        let to = if self.changed { bind_changed(to, tasks) } else { to };
        let to = if self.gone { bind_gone(to, live_deletes) } else { to };
        let to = if self.live { bind_live(to, live_inserts) } else { to };
        if self.results { bind_results(to, results) } else { to }
    }

    /// The statement up to its end, and what counts what must have been found: where a row is missing that should change or go,
    /// that tells.
    fn written(self, source: impl Fn(&[&str], usize) -> String) -> (String, String) {
        let (mut text, mut counts) = ("WITH ".to_owned(), Vec::new());
        let mut first = 1;
        for part in self.parts() {
            let Part { name, before, types, after } = part;
            let comma = if first == 1 { "" } else { ", " };
            text.push_str(&format!("{comma}{name} AS ({before}{}{after})", source(types, first)));
            if after.ends_with("RETURNING 1") {
                counts.push(format!("(SELECT count(*) FROM {name})"));
            }
            first += types.len();
        }
        let counts = if counts.is_empty() { "0::bigint".to_owned() } else { counts.join(" + ") };
        (text, counts)
    }
}

/// What is said where fewer rows were found than should change, go, or have their template.
const AS_LOADED: &str = "rows were as they had been loaded, and of templates that are stored";

/// Texts of so many bytes go in the one message.
const TEXTS_MAX: usize = 8 * 1024;

/// Where a batch writes nothing but one row of some kinds, as on an idle system: writes it and commits, in one message.
pub(super) async fn commit_one(session: &mut Session, writes: &Writes) -> Result<bool, StoreError> {
    let counts = counts(writes);
    let kinds = Kinds::of(counts);
    let fits = counts.iter().all(|&count| count <= 1) && kinds.parts().next().is_some();
    if !(session.keeps() && fits && writes.is_common() && texts(writes) <= TEXTS_MAX) {
        return Ok(false);
    }
    let mut message = Message { commits: true, ..Message::default() };
    message.call(kinds.one(), vec![kinds.bind(Cells::default(), writes).literal()]);
    match session.send(&message).await {
        Ok(_) => Ok(true),
        Err(error) if kinds.new => Err(not_accepted(session, &writes.new_tasks, error).await?),
        Err(error) => Err(error),
    }
}

fn counts(writes: &Writes) -> [usize; 5] {
    let Writes { new_tasks, tasks, live_inserts, live_deletes, results, .. } = writes;
    [new_tasks.len(), tasks.len(), live_deletes.len(), live_inserts.len(), results.len()]
}

/// The bytes of all texts.
fn texts(writes: &Writes) -> usize {
    let of_task = |(_, new): &(TaskRow, Box<NewTask>)| {
        let TaskInput { context, correlation_id, initiator, source_system, reason, .. } = &new.input;
        context.len() + correlation_id.len() + initiator.len() + source_system.len() + reason.len()
    };
    let of_result =
        |row: &ResultRow| [&row.result, &row.detail].into_iter().flatten().map(|text| text.len()).sum::<usize>();
    writes.new_tasks.iter().map(of_task).chain(writes.results.iter().map(of_result)).sum()
}

const EXISTING: &str = "SELECT 1 FROM tasker.tasks WHERE id = ANY($1) LIMIT 1";

/// Writes these rows, each as it had been loaded, or nothing.
pub(super) async fn write(session: &mut Session, writes: &Writes) -> Result<(), StoreError> {
    let counts = counts(writes);
    let kinds = Kinds::of(counts);
    if kinds.parts().next().is_none() {
        return Ok(());
    }
    let query = kinds.bind(sqlx::query(kinds.text(Rows::of(counts))), writes);
    let new_tasks = &writes.new_tasks;
    let rows = match session.fetch(query).await {
        Ok(rows) => rows,
        Err(error) if kinds.new => return Err(not_accepted(session, new_tasks, error).await?),
        Err(error) => return Err(error),
    };
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("nothing was counted".into()))?;
    let counted = Columns::of(row).get::<i64>()?.unsigned_abs();
    let wanted = new_tasks.len() + writes.tasks.len() + writes.live_deletes.len();
    if counted == wanted as u64 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("{counted} of {wanted} {AS_LOADED}")))
}

/// Why not every task was accepted that was not there a moment ago.
async fn not_accepted(
    session: &mut Session,
    new: &[(TaskRow, Box<NewTask>)],
    error: StoreError,
) -> Result<StoreError, StoreError> {
    if !matches!(error, StoreError::Corrupt(_)) {
        return Ok(error);
    }
    // What this transaction inserted itself is undone first, so that what is found is another's.
    session.simple("ROLLBACK").await?;
    session.begin().await?;
    let ids = column(new, |(row, _)| row.id.uuid());
    Ok(match session.fetch(sqlx::query(EXISTING).bind(ids)).await?.is_empty() {
        false => StoreError::Unavailable("another process accepted a task of the same id at the same moment".into()),
        true => error,
    })
}

/// Takes columns of rows, one after the other.
trait Takes<'q>: Sized {
    fn column<R, T>(self, rows: &'q [R], of: impl Fn(&'q R) -> T) -> Self
    where
        T: Cell + Send + 'q,
        Vec<T>: sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>;
}

impl<'q> Takes<'q> for Statement<'q> {
    fn column<R, T>(self, rows: &'q [R], of: impl Fn(&'q R) -> T) -> Self
    where
        T: Cell + Send + 'q,
        Vec<T>: sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
    {
        self.bind(column(rows, of))
    }
}

impl<'q> Takes<'q> for Cells {
    fn column<R, T>(mut self, rows: &'q [R], of: impl Fn(&'q R) -> T) -> Self
    where
        T: Cell + Send + 'q,
        Vec<T>: sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
    {
        for row in rows {
            self.push(of(row));
        }
        self
    }
}

fn bind_new<'q, T: Takes<'q>>(to: T, new: &'q [(TaskRow, Box<NewTask>)]) -> T {
    to.column(new, |(row, _)| row.id.uuid())
        .column(new, |(row, _)| row.pinned.id.0)
        .column(new, |(row, _)| row.state.code())
        .column(new, |(row, _)| count(row.open_steps))
        .column(new, |(row, _)| count(row.runnable))
        .column(new, |(row, _)| row.priority)
        .column(new, |(row, _)| row.created_at.as_micros())
        .column(new, |(row, _)| micros(row.started_at))
        .column(new, |(row, _)| micros(row.finished_at))
        .column(new, |(row, _)| row.id.uuid())
        .column(new, |(_, new)| &*new.input.context)
        .column(new, |(_, new)| &*new.input.correlation_id)
        .column(new, |(_, new)| &*new.input.initiator)
        .column(new, |(_, new)| &*new.input.source_system)
        .column(new, |(_, new)| &*new.input.reason)
}

fn bind_changed<'q, T: Takes<'q>>(to: T, tasks: &'q [TaskRow]) -> T {
    to.column(tasks, |row| row.id.uuid())
        .column(tasks, |row| row.state.code())
        .column(tasks, |row| count(row.open_steps))
        .column(tasks, |row| count(row.runnable))
        .column(tasks, |row| micros(row.started_at))
        .column(tasks, |row| micros(row.finished_at))
}

fn bind_gone<'q, T: Takes<'q>>(to: T, gone: &'q [Fence]) -> T {
    to.column(gone, |fence| fence.task.uuid())
        .column(gone, |fence| number(fence.number))
        .column(gone, |fence| count(fence.attempt))
        .column(gone, |fence| worker(fence.claimed_by))
}

fn bind_live<'q, T: Takes<'q>>(to: T, live: &'q [LiveStep]) -> T {
    to.column(live, |row| row.task.uuid())
        .column(live, |row| number(row.number))
        .column(live, |row| row.state.code())
        .column(live, |row| count(row.attempt))
        .column(live, |row| count(row.failures))
        .column(live, |row| count(row.losses))
        .column(live, |row| count(row.unmet))
        .column(live, |row| row.met)
        .column(live, |row| row.queue.0)
        .column(live, |row| row.priority)
        .column(live, |row| row.ready_at.as_micros())
        .column(live, |row| row.held)
        .column(live, |row| worker(row.claimed_by))
        .column(live, |row| micros(row.claimed_at))
}

fn bind_results<'q, T: Takes<'q>>(to: T, rows: &'q [ResultRow]) -> T {
    to.column(rows, |row| row.task.uuid())
        .column(rows, |row| number(row.number))
        .column(rows, |row| row.outcome.code())
        .column(rows, |row| row.cause.code())
        .column(rows, |row| count(row.attempt))
        .column(rows, |row| worker(row.worker))
        .column(rows, |row| micros(row.ready_at))
        .column(rows, |row| micros(row.claimed_at))
        .column(rows, |row| row.finished_at.as_micros())
        .column(rows, |row| row.result.as_deref())
        .column(rows, |row| row.detail.as_deref())
}
