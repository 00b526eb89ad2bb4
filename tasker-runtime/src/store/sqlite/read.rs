//! Reads: they see the last commit and never wait for the writer.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _, Sqlite, SqliteConnection};
use tasker_types::{DependencyResult, StepNumber, TaskId, TaskState, WorkerId};

use super::error::translate;
use super::rows::{self, ATTEMPT, BareTask, Columns, LIVE, RESULT, TASK};
use super::sql::Values;
use super::templates::Templates;
use crate::core::{ActionRow, Dump, StepRef, TaskRow};
use crate::store::read::{for_execution, hex, json, task_view, uuids_with_prefix, version_key};
use crate::store::{
    Counts, InputRequest, ListedTask, Page, StepInput, StoreError, StoredTemplate, TaskFilter, TaskView,
};

async fn all(connection: &mut SqliteConnection, sql: &str, task: TaskId) -> Result<Vec<SqliteRow>, StoreError> {
    sqlx::query(AssertSqlSafe(sql)).bind(rows::id(task)).fetch_all(connection).await.map_err(translate)
}

pub(super) async fn task_state(
    connection: &mut SqliteConnection,
    task: TaskId,
) -> Result<Option<TaskState>, StoreError> {
    let Some(row) = all(connection, "SELECT state FROM tasks WHERE id = ?", task).await?.pop() else { return Ok(None) };
    Columns::of(&row).code(TaskState::from_code).map(Some)
}

pub(super) async fn find_task(
    connection: &mut SqliteConnection,
    templates: &Templates,
    task: TaskId,
) -> Result<Option<TaskView>, StoreError> {
    let sql = format!(
        "SELECT {TASK}, i.context, i.correlation_id, i.initiator, i.source_system, i.reason FROM tasks AS t JOIN task_inputs AS i ON i.task = t.id WHERE t.id = ?"
    );
    let Some(row) = all(connection, &sql, task).await?.pop() else { return Ok(None) };
    let columns = &mut Columns::of(&row);
    let (bare, input) = (BareTask::read(columns)?, rows::input(columns)?);
    let pinned = templates.by_id(connection, bare.template).await?;
    let row = bare.with(pinned);
    let (live, results, attempts) = steps_of(connection, task).await?;
    let actions = actions_of(connection, task).await?;
    task_view(row, input, live, results, attempts, actions).map(Some)
}

type Steps = (Vec<crate::core::LiveStep>, Vec<crate::core::ResultRow>, Vec<crate::core::AttemptRow>);

async fn steps_of(connection: &mut SqliteConnection, task: TaskId) -> Result<Steps, StoreError> {
    let live = all(connection, &format!("SELECT {LIVE} FROM live_steps AS l WHERE l.task = ? ORDER BY l.number"), task)
        .await?;
    let results =
        all(connection, &format!("SELECT {RESULT} FROM step_results AS r WHERE r.task = ? ORDER BY r.number"), task)
            .await?;
    let attempts = all(
        connection,
        &format!("SELECT {ATTEMPT} FROM step_attempts AS a WHERE a.task = ? ORDER BY a.number, a.attempt"),
        task,
    )
    .await?;
    Ok((
        live.iter().map(rows::live).collect::<Result<_, _>>()?,
        results.iter().map(rows::result).collect::<Result<_, _>>()?,
        attempts.iter().map(rows::attempt).collect::<Result<_, _>>()?,
    ))
}

pub(super) async fn list_tasks(
    connection: &mut SqliteConnection,
    templates: &Templates,
    filter: &TaskFilter,
    page: Page,
) -> Result<Vec<ListedTask>, StoreError> {
    let (index, condition) = index_of(&filter.states);
    let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {TASK} FROM tasks AS t{index} WHERE {condition}"));
    if filter.template.is_some() || filter.namespace.is_some() {
        query.push(" AND t.template IN (SELECT id FROM templates WHERE 1");
        if let Some(name) = &filter.template {
            query.push(" AND name = ").push_bind(name.clone());
        }
        if let Some(namespace) = &filter.namespace {
            query.push(" AND namespace = ").push_bind(namespace.clone());
        }
        query.push(")");
    }
    if !filter.states.is_empty() {
        let codes: Vec<String> = filter.states.iter().map(|state| state.code().to_string()).collect();
        query.push(" AND t.state IN (").push(codes.join(", ")).push(")");
    }
    if let Some(before) = page.before {
        query.push(" AND t.id < ").push_bind(rows::id(before));
    }
    query.push(" ORDER BY t.id DESC LIMIT ").push_bind(page.rows());
    let rows = query.build().fetch_all(&mut *connection).await.map_err(translate)?;
    Ok(task_rows(connection, templates, &rows).await?.into_iter().map(|row| ListedTask { row }).collect())
}

/// The partial index that holds every task in one of these states, and the condition by which SQLite knows that.
fn index_of(states: &[TaskState]) -> (&'static str, &'static str) {
    match states {
        [TaskState::Failed] => (" INDEXED BY tasks_failed", "t.state = 4"),
        [_, ..] if states.iter().all(|state| !state.is_over()) => (" INDEXED BY tasks_open", "t.state IN (0, 1, 2, 5)"),
        _ => ("", "1"),
    }
}

async fn task_rows(
    connection: &mut SqliteConnection,
    templates: &Templates,
    rows: &[SqliteRow],
) -> Result<Vec<TaskRow>, StoreError> {
    let mut tasks = Vec::with_capacity(rows.len());
    for row in rows {
        let bare = BareTask::read(&mut Columns::of(row))?;
        let pinned = templates.by_id(connection, bare.template).await?;
        tasks.push(bare.with(pinned));
    }
    Ok(tasks)
}

pub(super) async fn tasks_by_prefix(
    connection: &mut SqliteConnection,
    prefix: &str,
    limit: u32,
) -> Result<Vec<TaskId>, StoreError> {
    let Some((first, last)) = uuids_with_prefix(prefix) else { return Ok(Vec::new()) };
    let query = sqlx::query("SELECT id FROM tasks WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?");
    let query = query.bind(first.as_bytes().to_vec()).bind(last.as_bytes().to_vec()).bind(limit);
    query.fetch_all(connection).await.map_err(translate)?.iter().map(|row| Columns::of(row).task()).collect()
}

pub(super) async fn inputs(
    connection: &mut SqliteConnection,
    templates: &Templates,
    wanted: &[InputRequest],
) -> Result<Vec<StepInput>, StoreError> {
    let mut inputs: BTreeMap<TaskId, StepInput> = wanted
        .iter()
        .map(|request| (request.task, StepInput { task: request.task, context: None, results: BTreeMap::new() }))
        .collect();
    let mut tasks: Vec<TaskId> = wanted.iter().filter(|request| request.context).map(|request| request.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let select =
        format!("SELECT {TASK}, i.context, i.correlation_id, i.initiator, i.source_system, i.reason FROM (VALUES ");
    let join = ") AS v CROSS JOIN tasks AS t ON t.id = v.column1 CROSS JOIN task_inputs AS i ON i.task = t.id";
    for row in Values::new(&select, 1, join)
        .fetch(connection, &tasks, |&task, to| {
            _ = to.add(rows::id(task));
        })
        .await?
    {
        let columns = &mut Columns::of(&row);
        let (bare, input) = (BareTask::read(columns)?, rows::input(columns)?);
        let row = bare.with_template(connection, templates).await?;
        if let Some(found) = inputs.get_mut(&row.id) {
            found.context = Some(for_execution(&row, &input)?.into());
        }
    }
    let steps: Vec<StepRef> = wanted
        .iter()
        .flat_map(|request| request.results.iter().map(|&number| StepRef { task: request.task, number }))
        .collect();
    let select = Values::new(
        "SELECT r.task, r.number, r.result FROM (VALUES ",
        2,
        ") AS v CROSS JOIN step_results AS r ON r.task = v.column1 AND r.number = v.column2 WHERE r.result IS NOT NULL",
    );
    for row in select.fetch(connection, &steps, rows::bind_step).await? {
        let columns = &mut Columns::of(&row);
        let (task, number): (TaskId, StepNumber) = (columns.task()?, columns.number()?);
        if let Some(found) = inputs.get_mut(&task) {
            found.results.insert(number, DependencyResult { result: json(columns.get::<&str>()?)? }.into());
        }
    }
    Ok(inputs.into_values().collect())
}

pub(super) async fn cancelling(connection: &mut SqliteConnection, tasks: &[TaskId]) -> Result<Vec<TaskId>, StoreError> {
    let select = Values::new(
        "SELECT t.id FROM (VALUES ",
        1,
        ") AS v CROSS JOIN tasks AS t ON t.id = v.column1 WHERE t.state = 5",
    );
    let rows = select
        .fetch(connection, tasks, |&task, to| {
            _ = to.add(rows::id(task));
        })
        .await?;
    rows.iter().map(|row| Columns::of(row).task()).collect()
}

pub(super) async fn strangers(
    connection: &mut SqliteConnection,
    worker: WorkerId,
    limit: u32,
) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
    let query = sqlx::query(
        "SELECT task, number, attempt, claimed_by FROM live_steps WHERE state = 2 AND claimed_by <> ? LIMIT ?",
    );
    let rows = query.bind(rows::worker(Some(worker))).bind(limit).fetch_all(connection).await.map_err(translate)?;
    let mut strangers = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = &mut Columns::of(row);
        let (step, attempt) = (StepRef { task: columns.task()?, number: columns.number()? }, columns.get()?);
        if let Some(by) = columns.worker()? {
            strangers.push((step, attempt, by));
        }
    }
    Ok(strangers)
}

pub(super) async fn list_templates(connection: &mut SqliteConnection) -> Result<Vec<StoredTemplate>, StoreError> {
    let sql = "SELECT namespace, name, version, hash, stored_at, coalesce(open.tasks, 0) FROM templates AS t LEFT JOIN \
               (SELECT template, count(*) AS tasks FROM tasks WHERE state IN (0, 1, 2, 5) GROUP BY template) AS open \
               ON open.template = t.id ORDER BY t.generation";
    let mut list = Vec::new();
    for row in sqlx::query(sql).fetch_all(connection).await.map_err(translate)? {
        let columns = &mut Columns::of(&row);
        let (namespace, name, version) = (columns.get()?, columns.get()?, columns.get()?);
        let (hash, stored_at, open): (Vec<u8>, _, i64) = (columns.get()?, columns.time()?, columns.get()?);
        list.push(StoredTemplate {
            namespace,
            name,
            version,
            hash: hex(&hash),
            stored_at,
            open_tasks: open.unsigned_abs(),
        });
    }
    list.sort_by(|a, b| {
        (&a.namespace, &a.name, version_key(&a.version)).cmp(&(&b.namespace, &b.name, version_key(&b.version)))
    });
    Ok(list)
}

/// The number of the newest template of this name, or of this version of it.
pub(super) async fn template_named(
    connection: &mut SqliteConnection,
    namespace: &str,
    name: &str,
    version: Option<&str>,
) -> Result<Option<i64>, StoreError> {
    let rows = sqlx::query("SELECT id, version, generation FROM templates WHERE namespace = ? AND name = ?")
        .bind(namespace)
        .bind(name);
    let mut newest: Option<(Vec<u64>, i64, i64)> = None;
    for row in rows.fetch_all(connection).await.map_err(translate)? {
        let (id, of, generation): (i64, String, i64) = (
            row.try_get(0).map_err(translate)?,
            row.try_get(1).map_err(translate)?,
            row.try_get(2).map_err(translate)?,
        );
        if version.is_none_or(|wanted| wanted == of) {
            newest = newest.max(Some((version_key(&of), generation, id)));
        }
    }
    Ok(newest.map(|(_, _, id)| id))
}

pub(super) async fn counts(connection: &mut SqliteConnection) -> Result<Counts, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM tasks WHERE state IN (0, 1, 2, 5)), (SELECT count(*) FROM tasks WHERE state = 4), \
               count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3) FROM live_steps";
    let row = sqlx::query(sql).fetch_one(connection).await.map_err(translate)?;
    let columns = &mut Columns::of(&row);
    let mut count = || columns.get::<i64>().map(i64::unsigned_abs);
    Ok(Counts {
        open_tasks: count()?,
        failed_tasks: count()?,
        ready_steps: count()?,
        running_steps: count()?,
        waiting_steps: count()?,
    })
}

pub(super) async fn dump(
    connection: &mut SqliteConnection,
    templates: &Templates,
    after: Option<TaskId>,
    limit: u32,
) -> Result<Dump, StoreError> {
    let after = after.map_or_else(Vec::new, rows::id);
    let sql = format!("SELECT {TASK} FROM tasks AS t WHERE t.id > ? ORDER BY t.id LIMIT ?");
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(after).bind(limit).fetch_all(&mut *connection).await.map_err(translate)?;
    let mut dump = Dump { tasks: task_rows(connection, templates, &rows).await?, ..Dump::default() };
    let ids: Vec<TaskId> = dump.tasks.iter().map(|row| row.id).collect();
    for id in ids {
        let (mut live, mut results, mut attempts) = steps_of(connection, id).await?;
        dump.live.append(&mut live);
        dump.results.append(&mut results);
        dump.attempts.append(&mut attempts);
        dump.actions.append(&mut actions_of(connection, id).await?);
    }
    Ok(dump)
}

async fn actions_of(connection: &mut SqliteConnection, task: TaskId) -> Result<Vec<ActionRow>, StoreError> {
    let sql = "SELECT id, task, number, kind, actor, reason, at FROM actions WHERE task = ? ORDER BY at, id";
    all(connection, sql, task).await?.iter().map(action).collect()
}

fn action(row: &SqliteRow) -> Result<ActionRow, StoreError> {
    let columns = &mut Columns::of(row);
    let (id, task, number) = (columns.uuid()?, columns.task()?, columns.get::<Option<u32>>()?.map(StepNumber));
    let kind: &str = columns.get()?;
    let kind = ["cancel", "retry"].into_iter().find(|known| *known == kind).unwrap_or("other");
    Ok(ActionRow { id, task, number, kind, actor: columns.get()?, reason: columns.get()?, at: columns.time()? })
}

impl BareTask {
    async fn with_template(
        self,
        connection: &mut SqliteConnection,
        templates: &Templates,
    ) -> Result<TaskRow, StoreError> {
        let pinned = templates.by_id(connection, self.template).await?;
        Ok(self.with(pinned))
    }
}
