//! What nearly every batch writes, in one statement: fewer round trips, not another order.

use std::sync::OnceLock;

use super::rows::{Columns, column, count, micros, number, worker};
use super::session::{Session, Statement};
use crate::core::{Fence, LiveStep, NewTask, ResultRow, TaskRow, Writes};
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

/// Its template is looked up by whoever inserts a task: where it is not stored, the counts tell.
const NEW: [Part; 2] = [
    Part {
        name: "accepted",
        before: "INSERT INTO tasker.tasks SELECT v.* FROM ",
        types: &["uuid", "bigint", "smallint", "integer", "integer", "smallint", "bigint", "bigint", "bigint"],
        after: " AS v (id, template, state, open_steps, runnable, priority, created_at, started_at, finished_at) \
                JOIN tasker.templates AS p ON p.id = v.template RETURNING 1",
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
    /// There is one of each kind: what an idle system writes.
    One,
    /// By their place. An array with texts or NULLs is counted through for each row.
    Few,
    /// By `unnest`, which makes a table of each column first.
    Many,
}

const FEW: usize = 256;

impl Rows {
    fn of(counts: [usize; 5]) -> Self {
        match counts.into_iter().max() {
            Some(..=1) => Self::One,
            Some(..=FEW) => Self::Few,
            _ => Self::Many,
        }
    }

    /// The rows whose columns are the parameters from `first` on.
    fn source(self, types: &[&str], first: usize) -> String {
        let column = |(at, of): (usize, &&str)| format!("${}::{of}[]", first + at);
        let columns = |after: &str| {
            let columns = types.iter().enumerate().map(column).map(|column| match self {
                Self::Many => column,
                _ => format!("({column}){after}"),
            });
            columns.collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::One => format!("(SELECT {})", columns("[1]")),
            Self::Few => {
                let keys = column((0, &types[0]));
                format!("(SELECT {} FROM generate_series(1, cardinality({keys})) AS i)", columns("[i]"))
            }
            Self::Many => format!("unnest({})", columns("")),
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
        static TEXTS: [[OnceLock<String>; 32]; 3] = [const { [const { OnceLock::new() }; 32] }; 3];
        let place = self.all().into_iter().fold(0, |place, has| place * 2 + usize::from(has));
        TEXTS[rows as usize][place].get_or_init(|| self.written(rows))
    }

    /// Counts what must have been found; where a row is missing that should change or go, that tells.
    fn written(self, rows: Rows) -> String {
        let (mut text, mut counts) = ("WITH ".to_owned(), Vec::new());
        let mut first = 1;
        for part in self.parts() {
            let Part { name, before, types, after } = part;
            let comma = if first == 1 { "" } else { ", " };
            text.push_str(&format!("{comma}{name} AS ({before}{}{after})", rows.source(types, first)));
            if after.ends_with("RETURNING 1") {
                counts.push(format!("(SELECT count(*) FROM {name})"));
            }
            first += types.len();
        }
        let counts = if counts.is_empty() { "0::bigint".to_owned() } else { counts.join(" + ") };
        format!("{text} SELECT {counts}")
    }
}

const EXISTING: &str = "SELECT 1 FROM tasker.tasks WHERE id = ANY($1) LIMIT 1";

/// Writes these rows, each as it had been loaded, or nothing.
pub(super) async fn write(session: &mut Session, writes: &Writes) -> Result<(), StoreError> {
    let Writes { new_tasks, tasks, live_inserts, live_deletes, results, .. } = writes;
    let counts = [new_tasks.len(), tasks.len(), live_deletes.len(), live_inserts.len(), results.len()];
    let kinds = Kinds::of(counts);
    if kinds.parts().next().is_none() {
        return Ok(());
    }
    let mut query = sqlx::query(kinds.text(Rows::of(counts)));
    if kinds.new {
        query = bind_new(query, new_tasks);
    }
    if kinds.changed {
        query = bind_changed(query, tasks);
    }
    if kinds.gone {
        query = bind_gone(query, live_deletes);
    }
    if kinds.live {
        query = bind_live(query, live_inserts);
    }
    if kinds.results {
        query = bind_results(query, results);
    }
    let rows = match session.fetch(query).await {
        Ok(rows) => rows,
        Err(error) if kinds.new => return Err(not_accepted(session, new_tasks, error).await?),
        Err(error) => return Err(error),
    };
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("nothing was counted".into()))?;
    let counted = Columns::of(row).get::<i64>()?.unsigned_abs();
    let wanted = new_tasks.len() + tasks.len() + live_deletes.len();
    if counted == wanted as u64 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "{counted} of {wanted} rows were as they had been loaded, and of templates that are stored"
    )))
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

fn bind_new<'q>(query: Statement<'q>, new: &'q [(TaskRow, Box<NewTask>)]) -> Statement<'q> {
    query
        .bind(column(new, |(row, _)| row.id.uuid()))
        .bind(column(new, |(row, _)| row.pinned.id.0))
        .bind(column(new, |(row, _)| row.state.code()))
        .bind(column(new, |(row, _)| count(row.open_steps)))
        .bind(column(new, |(row, _)| count(row.runnable)))
        .bind(column(new, |(row, _)| row.priority))
        .bind(column(new, |(row, _)| row.created_at.as_micros()))
        .bind(column(new, |(row, _)| micros(row.started_at)))
        .bind(column(new, |(row, _)| micros(row.finished_at)))
        .bind(column(new, |(row, _)| row.id.uuid()))
        .bind(column(new, |(_, new)| &*new.input.context))
        .bind(column(new, |(_, new)| &*new.input.correlation_id))
        .bind(column(new, |(_, new)| &*new.input.initiator))
        .bind(column(new, |(_, new)| &*new.input.source_system))
        .bind(column(new, |(_, new)| &*new.input.reason))
}

fn bind_changed<'q>(query: Statement<'q>, tasks: &[TaskRow]) -> Statement<'q> {
    query
        .bind(column(tasks, |row| row.id.uuid()))
        .bind(column(tasks, |row| row.state.code()))
        .bind(column(tasks, |row| count(row.open_steps)))
        .bind(column(tasks, |row| count(row.runnable)))
        .bind(column(tasks, |row| micros(row.started_at)))
        .bind(column(tasks, |row| micros(row.finished_at)))
}

fn bind_gone<'q>(query: Statement<'q>, gone: &[Fence]) -> Statement<'q> {
    query
        .bind(column(gone, |fence| fence.task.uuid()))
        .bind(column(gone, |fence| number(fence.number)))
        .bind(column(gone, |fence| count(fence.attempt)))
        .bind(column(gone, |fence| worker(fence.claimed_by)))
}

fn bind_live<'q>(query: Statement<'q>, live: &[LiveStep]) -> Statement<'q> {
    query
        .bind(column(live, |row| row.task.uuid()))
        .bind(column(live, |row| number(row.number)))
        .bind(column(live, |row| row.state.code()))
        .bind(column(live, |row| count(row.attempt)))
        .bind(column(live, |row| count(row.failures)))
        .bind(column(live, |row| count(row.losses)))
        .bind(column(live, |row| count(row.unmet)))
        .bind(column(live, |row| row.met))
        .bind(column(live, |row| row.queue.0))
        .bind(column(live, |row| row.priority))
        .bind(column(live, |row| row.ready_at.as_micros()))
        .bind(column(live, |row| row.held))
        .bind(column(live, |row| worker(row.claimed_by)))
        .bind(column(live, |row| micros(row.claimed_at)))
}

fn bind_results<'q>(query: Statement<'q>, rows: &'q [ResultRow]) -> Statement<'q> {
    query
        .bind(column(rows, |row| row.task.uuid()))
        .bind(column(rows, |row| number(row.number)))
        .bind(column(rows, |row| row.outcome.code()))
        .bind(column(rows, |row| row.cause.code()))
        .bind(column(rows, |row| count(row.attempt)))
        .bind(column(rows, |row| worker(row.worker)))
        .bind(column(rows, |row| micros(row.ready_at)))
        .bind(column(rows, |row| micros(row.claimed_at)))
        .bind(column(rows, |row| row.finished_at.as_micros()))
        .bind(column(rows, |row| row.result.as_deref()))
        .bind(column(rows, |row| row.detail.as_deref()))
}
