//! Reads: they see the last commit and never wait for the writer.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value;
use tasker_types::{DependencyResult, StepNumber, TaskId, TaskState};

use super::event;
use super::load::bind_task;
use super::rows::{self, ATTEMPT, BareTask, Columns, LIVE, RESULT, TASK};
use super::sql::{Binder, first, nothing, select, select_all};
use super::templates::Templates;
use crate::core::{Act, ActionRow, BatchRow, Dump, Identity, IdentityRow, RerunRow, StepRef, TaskRow};
use crate::store::named::{StepsNamed, in_template};
use crate::store::read::{
    FailuresOfVersion, GROUPS_MAX, Links, failure_groups, for_execution, hex, json, listed, task_view, unstarted,
    uuids_with_prefix, version_key,
};
use crate::store::{
    Counts, FAILED_TASKS_MAX, FailureGroup, InputRequest, ListedTask, Page, StepInput, StoreError, StoredTemplate,
    TaskFilter, TaskView,
};

/// A task with what it was submitted with.
const WITH_INPUT: &str = "i.context, i.correlation_id, i.initiator, i.source_system, i.reason FROM tasks AS t CROSS JOIN task_inputs AS i \
                          ON i.task = t.id WHERE t.id = ?";

pub(super) fn task_state(connection: &Connection, task: TaskId) -> Result<Option<TaskState>, StoreError> {
    let sql = "SELECT state FROM tasks WHERE id = ?";
    first(connection, sql, |to| bind_task(&task, to), |columns| columns.code(TaskState::from_code))
}

pub(super) fn find_task(
    connection: &Connection,
    templates: &Templates,
    task: TaskId,
) -> Result<Option<TaskView>, StoreError> {
    let sql = format!("SELECT {TASK}, {WITH_INPUT}");
    let found = first(
        connection,
        &sql,
        |to| bind_task(&task, to),
        |columns| Ok((BareTask::read(columns)?, rows::input(columns)?)),
    )?;
    let Some((bare, mut input)) = found else { return Ok(None) };
    let row = bare.pinned(connection, templates)?;
    let (live, results, attempts) = steps_of(connection, task)?;
    let actions = actions_of(connection, &[task])?;
    let batches = batches_of(connection, &[&row])?;
    let checkpoints = select(connection, rows::CHECKPOINTS_OF, &[task], bind_task, rows::checkpoint)?;
    let mut reruns = reruns_of(connection, &[task])?;
    let of = format!("SELECT {} FROM reruns AS r WHERE r.source = ? ORDER BY r.task", rows::RERUN);
    reruns.extend(select(connection, &of, &[task], bind_task, rows::rerun)?);
    let timeout = "SELECT timeout FROM claim_timeouts WHERE task = ?";
    input.claim_timeout = first(connection, timeout, |to| bind_task(&task, to), rows::duration)?;
    let links = Links { actions, checkpoints, reruns };
    task_view(row, input, &batches, live, results, attempts, links).map(Some)
}

/// Which of these tasks run another one again.
fn reruns_of(connection: &Connection, tasks: &[TaskId]) -> Result<Vec<RerunRow>, StoreError> {
    let of = format!("SELECT {} FROM reruns AS r WHERE r.task = ?", rows::RERUN);
    select(connection, &of, tasks, bind_task, rows::rerun)
}

type Steps = (Vec<crate::core::LiveStep>, Vec<crate::core::ResultRow>, Vec<crate::core::AttemptRow>);

fn steps_of(connection: &Connection, task: TaskId) -> Result<Steps, StoreError> {
    let live = format!("SELECT {LIVE} FROM live_steps AS l WHERE l.task = ? ORDER BY l.number");
    let results = format!("SELECT {RESULT} FROM step_results AS r WHERE r.task = ? ORDER BY r.number");
    let attempts = format!("SELECT {ATTEMPT} FROM step_attempts AS a WHERE a.task = ? ORDER BY a.number, a.attempt");
    let of = &[task];
    Ok((
        select(connection, &live, of, bind_task, rows::live)?,
        select(connection, &results, of, bind_task, rows::result)?,
        select(connection, &attempts, of, bind_task, rows::attempt)?,
    ))
}

pub(super) fn list_tasks(
    connection: &Connection,
    templates: &Templates,
    filter: &TaskFilter,
    page: Page,
) -> Result<Vec<ListedTask>, StoreError> {
    let states = filter.states();
    let (index, condition) = index_of(states);
    let mut sql = format!("SELECT {TASK} FROM tasks AS t{index} WHERE {condition}");
    let mut values: Vec<Value> = Vec::new();
    of_template(filter, &mut sql, &mut values);
    if !states.is_empty() {
        let codes: Vec<String> = states.iter().map(|state| state.code().to_string()).collect();
        sql.push_str(&format!(" AND t.state IN ({})", codes.join(", ")));
    }
    if filter.is_about_failures() {
        sql.push_str(" AND EXISTS (SELECT 1 FROM step_results AS r WHERE r.task = t.id AND r.outcome = 5");
        if !of_failure(connection, templates, filter, &mut sql, &mut values)? {
            return Ok(Vec::new());
        }
        sql.push(')');
    }
    if let Some(before) = page.before {
        sql.push_str(" AND t.id < ?");
        values.push(rows::id(before).to_vec().into());
    }
    sql.push_str(" ORDER BY t.id DESC LIMIT ?");
    values.push(page.rows().into());
    let bind = |to: &mut Binder<'_, '_>| {
        for value in &values {
            to.add(value);
        }
    };
    let tasks = select_all(connection, &sql, bind, |columns| BareTask::read(columns)?.pinned(connection, templates))?;
    let batches = batches_of(connection, &tasks.iter().collect::<Vec<_>>())?;
    let starts =
        select(connection, STARTS, &unstarted(&tasks), bind_task, |columns| Ok((columns.task()?, columns.time()?)))?;
    let starts = starts.into_iter().collect();
    Ok(tasks.into_iter().map(|row| listed(row, &batches, &starts)).collect())
}

/// When a task starts of which nothing was ever tried.
const STARTS: &str =
    "SELECT task, min(ready_at) FROM live_steps WHERE task = ? AND state = 3 AND attempt = 0 GROUP BY task";

/// The batches of those of the tasks that can have some.
fn batches_of(connection: &Connection, tasks: &[&TaskRow]) -> Result<Vec<BatchRow>, StoreError> {
    let with_batches: Vec<TaskId> = tasks.iter().filter(|row| row.pinned.has_batches()).map(|row| row.id).collect();
    select(connection, rows::BATCHES_OF, &with_batches, bind_task, rows::batch)
}

/// The condition that a filter makes of the template's name and namespace.
fn of_template(filter: &TaskFilter, sql: &mut String, values: &mut Vec<Value>) {
    if filter.template.is_none() && filter.namespace.is_none() {
        return;
    }
    sql.push_str(" AND t.template IN (SELECT id FROM templates WHERE 1");
    for (condition, value) in [(" AND name = ?", &filter.template), (" AND namespace = ?", &filter.namespace)] {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value.clone().into());
        }
    }
    sql.push(')');
}

/// The condition that a filter makes of a failed step `r`. Tells whether there can be one.
fn of_failure(
    connection: &Connection,
    templates: &Templates,
    filter: &TaskFilter,
    sql: &mut String,
    values: &mut Vec<Value>,
) -> Result<bool, StoreError> {
    if let Some(step) = &filter.step {
        let mut named = StepsNamed::default();
        for id in templates_that_name(connection, in_template(step))? {
            named.add(&templates.by_id(connection, id)?, filter);
        }
        if named.is_empty() {
            return Ok(false);
        }
        sql.push_str(&format!(" AND {}", named.condition()));
    }
    if let Some(error) = &filter.error {
        sql.push_str(" AND (json_extract(r.detail, '$.error_code') = ? OR json_extract(r.detail, '$.error_type') = ?)");
        values.extend([error.clone().into(), error.clone().into()]);
    }
    Ok(true)
}

pub(super) fn failures(
    connection: &Connection,
    templates: &Templates,
    filter: &TaskFilter,
    limit: u32,
) -> Result<Vec<FailureGroup>, StoreError> {
    let mut sql = "SELECT t.template, r.number, json_extract(r.detail, '$.error_type') AS kind, \
                   json_extract(r.detail, '$.error_code') AS code, count(*), max(r.task), max(r.finished_at) FROM \
                   (SELECT t.id, t.template FROM tasks AS t INDEXED BY tasks_failed WHERE t.state = 4"
        .to_owned();
    let mut values: Vec<Value> = Vec::new();
    of_template(filter, &mut sql, &mut values);
    sql.push_str(" ORDER BY t.id DESC LIMIT ?) AS t CROSS JOIN step_results AS r ON r.task = t.id WHERE r.outcome = 5");
    values.push(FAILED_TASKS_MAX.into());
    if !of_failure(connection, templates, filter, &mut sql, &mut values)? {
        return Ok(Vec::new());
    }
    sql.push_str(" GROUP BY t.template, r.number, kind, code ORDER BY max(r.task) DESC LIMIT ?");
    values.push(GROUPS_MAX.into());
    let bind = |to: &mut Binder<'_, '_>| {
        for value in &values {
            to.add(value);
        }
    };
    let rows = select_all(connection, &sql, bind, |columns| {
        Ok(FailuresOfVersion {
            pinned: templates.by_id(connection, columns.get()?)?,
            number: columns.number()?,
            error_type: columns.get()?,
            error_code: columns.get()?,
            failures: columns.get::<i64>()?.unsigned_abs(),
            newest: columns.task()?,
            last_at: columns.time()?,
        })
    })?;
    Ok(failure_groups(rows, limit))
}

/// The partial index that holds every task in one of these states, and the condition by which SQLite knows that.
fn index_of(states: &[TaskState]) -> (&'static str, &'static str) {
    match states {
        [TaskState::Failed] => (" INDEXED BY tasks_failed", "t.state = 4"),
        [_, ..] if states.iter().all(|state| !state.is_over()) => {
            (" INDEXED BY tasks_open", "(t.state < 3 OR t.state = 5)")
        }
        _ => ("", "1"),
    }
}

pub(super) fn tasks_by_prefix(connection: &Connection, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError> {
    let Some((first, last)) = uuids_with_prefix(prefix) else { return Ok(Vec::new()) };
    let sql = "SELECT id FROM tasks WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?";
    let bind = |to: &mut Binder<'_, '_>| {
        to.add(first.into_bytes()).add(last.into_bytes()).add(limit);
    };
    select_all(connection, sql, bind, |columns| columns.task())
}

pub(super) fn inputs(
    connection: &Connection,
    templates: &Templates,
    wanted: &[InputRequest],
) -> Result<Vec<StepInput>, StoreError> {
    let mut inputs: BTreeMap<TaskId, StepInput> =
        wanted.iter().map(|request| (request.task, StepInput::of(request.task))).collect();
    let mut tasks: Vec<TaskId> = wanted.iter().filter(|request| request.context).map(|request| request.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let contexts = select(connection, &format!("SELECT {TASK}, {WITH_INPUT}"), &tasks, bind_task, |columns| {
        let bare = BareTask::read(columns)?;
        let input = rows::input(columns)?;
        let row = bare.pinned(connection, templates)?;
        Ok((row.id, for_execution(&row, &input)?))
    })?;
    for (task, context) in contexts {
        if let Some(found) = inputs.get_mut(&task) {
            found.context = Some(context.into());
        }
    }
    let steps: Vec<StepRef> = wanted
        .iter()
        .flat_map(|request| request.results.iter().map(|&number| StepRef { task: request.task, number }))
        .collect();
    let sql = "SELECT task, number, result FROM step_results WHERE task = ? AND number = ? AND outcome IN (4, 7, 8)";
    let results = select(connection, sql, &steps, rows::bind_step, value_of)?;
    let from: Vec<StepRef> = wanted
        .iter()
        .filter_map(|request| request.workers_from.map(|number| StepRef { task: request.task, number }))
        .collect();
    let sql = "SELECT task, number, result FROM step_results WHERE task = ? AND number >= ? AND outcome IN (4, 7, 8)";
    let workers = select(connection, sql, &from, rows::bind_step, value_of)?;
    for (task, number, result) in results.into_iter().chain(workers) {
        if let Some(found) = inputs.get_mut(&task) {
            found.results.insert(number, result);
        }
    }
    let saved_by: Vec<StepRef> = wanted
        .iter()
        .filter_map(|request| request.checkpoint_of.map(|number| StepRef { task: request.task, number }))
        .collect();
    let sql = "SELECT task, number, value FROM checkpoints WHERE task = ? AND number = ?";
    let saved = select(connection, sql, &saved_by, rows::bind_step, |columns| {
        Ok((columns.task()?, columns.number()?, json(columns.str()?)?))
    })?;
    for (task, number, value) in saved {
        if let Some(found) = inputs.get_mut(&task) {
            found.checkpoints.insert(number, Arc::new(value));
        }
    }
    Ok(inputs.into_values().collect())
}

type Given = (TaskId, StepNumber, Option<Arc<DependencyResult>>);

fn value_of(columns: &mut Columns<'_>) -> Result<Given, StoreError> {
    let (task, number) = (columns.task()?, columns.number()?);
    let result = columns.maybe_str()?.map(json).transpose()?;
    Ok((task, number, result.map(|result| DependencyResult { result }.into())))
}

pub(super) fn cancelling(connection: &Connection, tasks: &[TaskId]) -> Result<Vec<TaskId>, StoreError> {
    select(connection, "SELECT id FROM tasks WHERE id = ? AND state = 5", tasks, bind_task, |columns| columns.task())
}

pub(super) fn list_templates(connection: &Connection) -> Result<Vec<StoredTemplate>, StoreError> {
    let sql = "SELECT namespace, name, version, hash, stored_at, coalesce(open.tasks, 0) FROM templates AS t LEFT JOIN \
               (SELECT template, count(*) AS tasks FROM tasks WHERE (state < 3 OR state = 5) GROUP BY template) AS open \
               ON open.template = t.id ORDER BY t.generation";
    let mut list = select_all(connection, sql, nothing, |columns| {
        Ok(StoredTemplate {
            namespace: columns.get()?,
            name: columns.get()?,
            version: columns.get()?,
            hash: hex(&columns.get::<Vec<u8>>()?),
            stored_at: columns.time()?,
            open_tasks: columns.get::<i64>()?.unsigned_abs(),
        })
    })?;
    list.sort_by(|a, b| {
        (&a.namespace, &a.name, version_key(&a.version)).cmp(&(&b.namespace, &b.name, version_key(&b.version)))
    });
    Ok(list)
}

/// The numbers of the templates in whose text this stands.
pub(super) fn templates_that_name(connection: &Connection, text: &str) -> Result<Vec<i64>, StoreError> {
    select_all(
        connection,
        "SELECT id FROM templates WHERE instr(body, ?) > 0 ORDER BY id",
        |to| _ = to.add(text),
        |columns| columns.get(),
    )
}

/// The number of the newest template of this name, or of this version of it.
pub(super) fn template_named(
    connection: &Connection,
    namespace: &str,
    name: &str,
    version: Option<&str>,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id, version, generation FROM templates WHERE namespace = ? AND name = ?";
    let found = select_all(
        connection,
        sql,
        |to| _ = to.add(namespace).add(name),
        |columns| {
            let (id, of, generation): (i64, String, i64) = (columns.get()?, columns.get()?, columns.get()?);
            Ok(version.is_none_or(|wanted| wanted == of).then(|| (version_key(&of), generation, id)))
        },
    )?;
    Ok(found.into_iter().flatten().max().map(|(_, _, id)| id))
}

pub(super) fn counts(connection: &Connection) -> Result<Counts, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM tasks WHERE (state < 3 OR state = 5)), (SELECT count(*) FROM tasks WHERE state = 4), \
               count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3) FROM live_steps";
    let counted = first(connection, sql, nothing, |columns| {
        let mut count = || columns.get::<i64>().map(i64::unsigned_abs);
        Ok(Counts {
            open_tasks: count()?,
            failed_tasks: count()?,
            ready_steps: count()?,
            running_steps: count()?,
            waiting_steps: count()?,
        })
    })?;
    Ok(counted.unwrap_or_default())
}

pub(super) fn dump(
    connection: &Connection,
    templates: &Templates,
    after: Option<TaskId>,
    limit: u32,
) -> Result<Dump, StoreError> {
    let sql = format!("SELECT {TASK} FROM tasks AS t WHERE t.id > ? ORDER BY t.id LIMIT ?");
    let after = after.map_or_else(Vec::new, |task| rows::id(task).to_vec());
    let tasks = select_all(
        connection,
        &sql,
        |to| _ = to.add(&after).add(limit),
        |columns| BareTask::read(columns)?.pinned(connection, templates),
    )?;
    let ids: Vec<TaskId> = tasks.iter().map(|row| row.id).collect();
    let mut dump = Dump { tasks, ..Dump::default() };
    for &id in &ids {
        let (mut live, mut results, mut attempts) = steps_of(connection, id)?;
        dump.live.append(&mut live);
        dump.results.append(&mut results);
        dump.attempts.append(&mut attempts);
    }
    dump.batches = select(connection, rows::BATCHES_OF, &ids, bind_task, rows::batch)?;
    dump.actions = actions_of(connection, &ids)?;
    dump.checkpoints = select(connection, rows::CHECKPOINTS_OF, &ids, bind_task, rows::checkpoint)?;
    dump.reruns = reruns_of(connection, &ids)?;
    dump.identities = select(connection, IDENTITIES_OF, &ids, bind_task, identity)?;
    dump.identities.sort_unstable_by_key(|row| row.identity);
    dump.events = event::rows_of(connection, &ids)?;
    Ok(dump)
}

const IDENTITIES_OF: &str = "SELECT id, task FROM identities WHERE task = ?";

fn identity(columns: &mut Columns<'_>) -> Result<IdentityRow, StoreError> {
    Ok(IdentityRow { identity: Identity(columns.get()?), task: columns.task()? })
}

fn actions_of(connection: &Connection, tasks: &[TaskId]) -> Result<Vec<ActionRow>, StoreError> {
    let sql = "SELECT id, task, number, kind, actor, reason, at FROM actions WHERE task = ? ORDER BY at, id";
    select(connection, sql, tasks, bind_task, action)
}

fn action(columns: &mut Columns<'_>) -> Result<ActionRow, StoreError> {
    let (id, task, number) = (columns.uuid()?, columns.task()?, columns.get::<Option<u32>>()?.map(StepNumber));
    let kind = columns.str()?;
    let kind = Act::KINDS.iter().find(|known| **known == kind).unwrap_or(&"other");
    Ok(ActionRow { id, task, number, kind, actor: columns.get()?, reason: columns.get()?, at: columns.time()? })
}
