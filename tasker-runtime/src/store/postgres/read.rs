//! Reads: they see what was committed and never wait for a lock.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use tasker_types::{DependencyResult, StepNumber, TaskId, TaskState, Timestamp};
use uuid::Uuid;

use super::load::keyed;
use super::rows::{self, BareTask, Columns, input_columns, live_columns, moment, task_columns, uuids};
use super::session::Session;
use super::templates::Templates;
use super::{event, filter};
use crate::core::{
    Act, ActionRow, AttemptRow, BatchRow, CheckpointRow, Dump, LiveStep, RerunRow, ResultRow, StepRef, TaskRow,
};
use crate::store::read::{
    FailuresOfVersion, Links, failure_groups, for_execution, hex, json, listed, task_view, unstarted,
    uuids_with_prefix, version_key,
};
use crate::store::{
    Counts, FailureGroup, InputRequest, ListedTask, Page, StepInput, StoreError, StoredTemplate, TaskFilter, TaskView,
};

const TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    ", ",
    input_columns!(),
    " FROM tasker.tasks AS t JOIN tasker.task_inputs AS i ON i.task = t.id WHERE t.id = ANY($1)"
);
const LIVE: &str = concat!(
    "SELECT ",
    live_columns!(),
    " FROM tasker.live_steps AS l WHERE l.task = ANY($1) ORDER BY l.task, l.number"
);
const RESULTS: &str = "SELECT r.task, r.number, r.outcome, r.cause, r.attempt, r.worker, r.ready_at, r.claimed_at, \
                       r.finished_at, r.result, r.detail FROM tasker.step_results AS r WHERE r.task = ANY($1) \
                       ORDER BY r.task, r.number";
const ATTEMPTS: &str = "SELECT a.task, a.number, a.attempt, a.outcome, a.worker, a.ready_at, a.claimed_at, a.finished_at, \
                        a.retry_at, a.detail FROM tasker.step_attempts AS a WHERE a.task = ANY($1) \
                        ORDER BY a.task, a.number, a.attempt";
const ACTIONS: &str = "SELECT id, task, number, kind, actor, reason, at FROM tasker.actions WHERE task = ANY($1) \
                       ORDER BY task, at, id";
const CHECKPOINTS: &str = "SELECT task, number, attempt, value, saved_at FROM tasker.checkpoints WHERE task = ANY($1) \
                           ORDER BY task, number";
const CHECKPOINT_VALUES: &str = "SELECT c.task, c.number, c.value FROM unnest($1::uuid[], $2::integer[]) AS v (task, number) \
                                 JOIN tasker.checkpoints AS c ON c.task = v.task AND c.number = v.number";
/// Which of these tasks run another one again, and which tasks run these again.
const RERUNS: &str = "SELECT task, source, number, action FROM tasker.reruns WHERE task = ANY($1) ORDER BY task";
const RERUN_AS: &str = "SELECT task, source, number, action FROM tasker.reruns WHERE source = ANY($1) ORDER BY task";
const VALUES: &str = "SELECT r.task, r.number, r.result FROM unnest($1::uuid[], $2::integer[]) AS v (task, number) \
                      JOIN tasker.step_results AS r ON r.task = v.task AND r.number = v.number WHERE r.outcome IN (4, 7, 8)";
const VALUES_FROM: &str = "SELECT r.task, r.number, r.result FROM unnest($1::uuid[], $2::integer[]) AS v (task, number) \
                           JOIN tasker.step_results AS r ON r.task = v.task AND r.number >= v.number \
                           WHERE r.outcome IN (4, 7, 8)";
const TEMPLATES: &str = "SELECT namespace, name, version, hash, stored_at, coalesce(open.tasks, 0) \
                         FROM tasker.templates AS t LEFT JOIN (SELECT template, count(*) AS tasks FROM tasker.tasks \
                         WHERE state IN (0, 1, 2, 5) GROUP BY template) AS open ON open.template = t.id ORDER BY t.generation";
const COUNTS: &str = "SELECT (SELECT count(*) FROM tasker.tasks WHERE state IN (0, 1, 2, 5)), \
                      (SELECT count(*) FROM tasker.tasks WHERE state = 4), count(*) FILTER (WHERE state = 1), \
                      count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3) FROM tasker.live_steps";

/// Whether steps are ready or retries due, when the next one will be, and how many queues there are. Each by one probe of
/// an index.
pub(super) const WAITING: &str = concat!(
    "SELECT EXISTS (SELECT 1 FROM tasker.live_steps AS l WHERE l.state = 1 AND NOT l.held AND l.losses = 0) \
     OR EXISTS (SELECT 1 FROM tasker.live_steps AS l WHERE l.state = 1 AND NOT l.held AND l.losses > 0) \
     OR coalesce(d.next <= ",
    moment!("NULL"),
    ", false), d.next, (SELECT max(q.id) FROM tasker.queues AS q) FROM (SELECT (SELECT l.ready_at \
     FROM tasker.live_steps AS l WHERE l.state = 3 AND NOT l.held ORDER BY l.ready_at LIMIT 1) AS next) AS d"
);

/// What an idle worker looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Steps are ready, or retries are due.
    pub(super) is_to_be_done: bool,
    next_due: Option<i64>,
    last_queue: Option<i64>,
}

pub(super) async fn waiting(session: &mut Session) -> Result<Waiting, StoreError> {
    let rows = session.read(sqlx::query(WAITING)).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("the server does not tell what waits".into()))?;
    let columns = &mut Columns::of(row);
    Ok(Waiting { is_to_be_done: columns.get()?, next_due: columns.get()?, last_queue: columns.get()? })
}

pub(super) async fn task_state(session: &mut Session, task: TaskId) -> Result<Option<TaskState>, StoreError> {
    let query = sqlx::query("SELECT state FROM tasker.tasks WHERE id = $1").bind(task.uuid());
    session.read(query).await?.first().map(|row| Columns::of(row).code(TaskState::from_code)).transpose()
}

pub(super) async fn find_task(
    session: &mut Session,
    templates: &Templates,
    task: TaskId,
) -> Result<Option<TaskView>, StoreError> {
    session.begin_read().await?;
    let rows = session.fetch(sqlx::query(TASKS).bind(uuids(&[task]))).await?;
    let Some(row) = rows.first() else {
        session.end_read().await?;
        return Ok(None);
    };
    let columns = &mut Columns::of(row);
    let (bare, mut input) = (BareTask::read(columns)?, rows::input(columns)?);
    let timeout = sqlx::query("SELECT timeout FROM tasker.claim_timeouts WHERE task = $1").bind(task.uuid());
    input.claim_timeout = session.fetch(timeout).await?.first().map(rows::duration).transpose()?;
    let pinned = templates.by_id(session, bare.template).await?;
    let (live, results, attempts) = steps_of(session, &[task]).await?;
    let actions = actions_of(session, &[task]).await?;
    let row = bare.with(pinned);
    let batches = batches_of(session, &[&row]).await?;
    let checkpoints = checkpoints_of(session, &[task]).await?;
    let mut reruns = reruns_of(session, RERUNS, &[task]).await?;
    reruns.append(&mut reruns_of(session, RERUN_AS, &[task]).await?);
    session.end_read().await?;
    task_view(row, input, &batches, live, results, attempts, Links { actions, checkpoints, reruns }).map(Some)
}

async fn checkpoints_of(session: &mut Session, tasks: &[TaskId]) -> Result<Vec<CheckpointRow>, StoreError> {
    session.fetch(sqlx::query(CHECKPOINTS).bind(uuids(tasks))).await?.iter().map(rows::checkpoint).collect()
}

async fn reruns_of(session: &mut Session, text: &'static str, tasks: &[TaskId]) -> Result<Vec<RerunRow>, StoreError> {
    session.fetch(sqlx::query(text).bind(uuids(tasks))).await?.iter().map(rows::rerun).collect()
}

type Steps = (Vec<LiveStep>, Vec<ResultRow>, Vec<AttemptRow>);

async fn steps_of(session: &mut Session, tasks: &[TaskId]) -> Result<Steps, StoreError> {
    let live = session.fetch(sqlx::query(LIVE).bind(uuids(tasks))).await?;
    let results = session.fetch(sqlx::query(RESULTS).bind(uuids(tasks))).await?;
    let attempts = session.fetch(sqlx::query(ATTEMPTS).bind(uuids(tasks))).await?;
    Ok((
        live.iter().map(rows::live).collect::<Result<_, _>>()?,
        results.iter().map(rows::result).collect::<Result<_, _>>()?,
        attempts.iter().map(rows::attempt).collect::<Result<_, _>>()?,
    ))
}

pub(super) async fn list_tasks(
    session: &mut Session,
    templates: &Templates,
    filter: &TaskFilter,
    page: Page,
) -> Result<Vec<ListedTask>, StoreError> {
    session.begin_read().await?;
    let Some(named) = filter::named(session, templates, filter).await? else {
        session.end_read().await?;
        return Ok(Vec::new());
    };
    let mut query = filter::list(concat!("SELECT ", task_columns!()), filter, &named, page);
    let rows = session.fetch(query.build()).await?;
    let tasks = task_rows(session, templates, &rows).await?;
    let batches = batches_of(session, &tasks.iter().collect::<Vec<_>>()).await?;
    let starts = starts_of(session, &unstarted(&tasks)).await?;
    session.end_read().await?;
    Ok(tasks.into_iter().map(|row| listed(row, &batches, &starts)).collect())
}

/// When those of the tasks start that were submitted for later.
async fn starts_of(session: &mut Session, tasks: &[TaskId]) -> Result<BTreeMap<TaskId, Timestamp>, StoreError> {
    const STARTS: &str = "SELECT l.task, min(l.ready_at) FROM tasker.live_steps AS l WHERE l.task = ANY($1) AND l.state = 3 \
                          AND l.attempt = 0 GROUP BY l.task";
    if tasks.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = session.fetch(sqlx::query(STARTS).bind(uuids(tasks))).await?;
    rows.iter().map(Columns::of).map(|mut columns| Ok((columns.task()?, columns.time()?))).collect()
}

/// The batches of those of the tasks that can have some.
async fn batches_of(session: &mut Session, tasks: &[&TaskRow]) -> Result<Vec<BatchRow>, StoreError> {
    let with_batches: Vec<TaskId> = tasks.iter().filter(|row| row.pinned.has_batches()).map(|row| row.id).collect();
    if with_batches.is_empty() {
        return Ok(Vec::new());
    }
    let found = session.fetch(sqlx::query(rows::BATCHES_OF).bind(uuids(&with_batches))).await?;
    found.iter().map(rows::batch).collect()
}

pub(super) async fn failures(
    session: &mut Session,
    templates: &Templates,
    filter: &TaskFilter,
    limit: u32,
) -> Result<Vec<FailureGroup>, StoreError> {
    session.begin_read().await?;
    let Some(named) = filter::named(session, templates, filter).await? else {
        session.end_read().await?;
        return Ok(Vec::new());
    };
    let rows = session.fetch(filter::failures(filter, &named).build()).await?;
    let mut groups = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = &mut Columns::of(row);
        groups.push(FailuresOfVersion {
            pinned: templates.by_id(session, columns.get()?).await?,
            number: columns.number()?,
            error_type: columns.get()?,
            error_code: columns.get()?,
            failures: columns.get::<i64>()?.unsigned_abs(),
            newest: columns.task()?,
            last_at: columns.time()?,
        });
    }
    session.end_read().await?;
    Ok(failure_groups(groups, limit))
}

async fn task_rows(session: &mut Session, templates: &Templates, rows: &[PgRow]) -> Result<Vec<TaskRow>, StoreError> {
    let mut tasks = Vec::with_capacity(rows.len());
    for row in rows {
        let bare = BareTask::read(&mut Columns::of(row))?;
        let pinned = templates.by_id(session, bare.template).await?;
        tasks.push(bare.with(pinned));
    }
    Ok(tasks)
}

pub(super) async fn tasks_by_prefix(
    session: &mut Session,
    prefix: &str,
    limit: u32,
) -> Result<Vec<TaskId>, StoreError> {
    let Some((first, last)) = uuids_with_prefix(prefix) else { return Ok(Vec::new()) };
    let query = sqlx::query("SELECT id FROM tasker.tasks WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3");
    let rows = session.read(query.bind(first).bind(last).bind(i64::from(limit))).await?;
    rows.iter().map(|row| Columns::of(row).task()).collect()
}

pub(super) async fn inputs(
    session: &mut Session,
    templates: &Templates,
    wanted: &[InputRequest],
) -> Result<Vec<StepInput>, StoreError> {
    let mut inputs: BTreeMap<TaskId, StepInput> =
        wanted.iter().map(|request| (request.task, StepInput::of(request.task))).collect();
    let mut tasks: Vec<TaskId> = wanted.iter().filter(|request| request.context).map(|request| request.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let steps: Vec<StepRef> = wanted
        .iter()
        .flat_map(|request| request.results.iter().map(|&number| StepRef { task: request.task, number }))
        .collect();
    session.begin_read().await?;
    if !tasks.is_empty() {
        for row in session.fetch(sqlx::query(TASKS).bind(uuids(&tasks))).await? {
            let columns = &mut Columns::of(&row);
            let (bare, input) = (BareTask::read(columns)?, rows::input(columns)?);
            let pinned = templates.by_id(session, bare.template).await?;
            let row = bare.with(pinned);
            if let Some(found) = inputs.get_mut(&row.id) {
                found.context = Some(for_execution(&row, &input)?.into());
            }
        }
    }
    let from: Vec<StepRef> = wanted
        .iter()
        .filter_map(|request| request.workers_from.map(|number| StepRef { task: request.task, number }))
        .collect();
    for (text, keys) in [(VALUES, steps), (VALUES_FROM, from)] {
        if keys.is_empty() {
            continue;
        }
        for row in session.fetch(keyed(text, &keys)).await? {
            let columns = &mut Columns::of(&row);
            let step = columns.step()?;
            if let Some(found) = inputs.get_mut(&step.task) {
                let result = columns.get::<Option<&str>>()?.map(json).transpose()?;
                found.results.insert(step.number, result.map(|result| DependencyResult { result }.into()));
            }
        }
    }
    let saved_by: Vec<StepRef> = wanted
        .iter()
        .filter_map(|request| request.checkpoint_of.map(|number| StepRef { task: request.task, number }))
        .collect();
    if !saved_by.is_empty() {
        for row in session.fetch(keyed(CHECKPOINT_VALUES, &saved_by)).await? {
            let columns = &mut Columns::of(&row);
            let step = columns.step()?;
            if let Some(found) = inputs.get_mut(&step.task) {
                found.checkpoints.insert(step.number, json(columns.get()?)?.into());
            }
        }
    }
    session.end_read().await?;
    Ok(inputs.into_values().collect())
}

pub(super) async fn cancelling(session: &mut Session, tasks: &[TaskId]) -> Result<Vec<TaskId>, StoreError> {
    let sql = "SELECT t.id FROM unnest($1::uuid[]) WITH ORDINALITY AS v (id, place) JOIN tasker.tasks AS t ON t.id = v.id \
               WHERE t.state = 5 ORDER BY v.place";
    session.read(sqlx::query(sql).bind(uuids(tasks))).await?.iter().map(|row| Columns::of(row).task()).collect()
}

pub(super) async fn list_templates(session: &mut Session) -> Result<Vec<StoredTemplate>, StoreError> {
    let mut list = Vec::new();
    for row in session.read(sqlx::query(TEMPLATES)).await? {
        let columns = &mut Columns::of(&row);
        let (namespace, name, version) = (columns.get()?, columns.get()?, columns.get()?);
        let (hash, stored_at, open): (&[u8], _, i64) = (columns.get()?, columns.time()?, columns.get()?);
        let open_tasks = open.unsigned_abs();
        list.push(StoredTemplate { namespace, name, version, hash: hex(hash), stored_at, open_tasks });
    }
    list.sort_by(|a, b| {
        (&a.namespace, &a.name, version_key(&a.version)).cmp(&(&b.namespace, &b.name, version_key(&b.version)))
    });
    Ok(list)
}

/// The numbers of the templates in whose text this stands.
pub(super) async fn templates_that_name(session: &mut Session, text: &str) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT t.id FROM tasker.templates AS t WHERE strpos(t.body, $1) > 0 ORDER BY t.id";
    session.fetch(sqlx::query(sql).bind(text)).await?.iter().map(|row| Columns::of(row).get()).collect()
}

/// The number of the newest template of this name, or of this version of it.
pub(super) async fn template_named(
    session: &mut Session,
    namespace: &str,
    name: &str,
    version: Option<&str>,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id, version, generation FROM tasker.templates WHERE namespace = $1 AND name = $2";
    let mut newest: Option<(Vec<u64>, i64, i64)> = None;
    for row in session.read(sqlx::query(sql).bind(namespace).bind(name)).await? {
        let columns = &mut Columns::of(&row);
        let (id, of, generation): (i64, &str, i64) = (columns.get()?, columns.get()?, columns.get()?);
        if version.is_none_or(|wanted| wanted == of) {
            newest = newest.max(Some((version_key(of), generation, id)));
        }
    }
    Ok(newest.map(|(_, _, id)| id))
}

pub(super) async fn counts(session: &mut Session) -> Result<Counts, StoreError> {
    let rows = session.read(sqlx::query(COUNTS)).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("nothing was counted".into()))?;
    let columns = &mut Columns::of(row);
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
    session: &mut Session,
    templates: &Templates,
    after: Option<TaskId>,
    limit: u32,
) -> Result<Dump, StoreError> {
    let sql = concat!(
        "SELECT ",
        task_columns!(),
        " FROM tasker.tasks AS t WHERE $1::uuid IS NULL OR t.id > $1 ORDER BY t.id LIMIT $2"
    );
    session.begin_read().await?;
    let query = sqlx::query(sql).bind(after.map(|after| after.uuid())).bind(i64::from(limit));
    let rows = session.fetch(query).await?;
    let tasks = task_rows(session, templates, &rows).await?;
    let ids: Vec<TaskId> = tasks.iter().map(|row| row.id).collect();
    let (live, results, attempts) = steps_of(session, &ids).await?;
    let actions = actions_of(session, &ids).await?;
    let batches = session.fetch(sqlx::query(rows::BATCHES_OF).bind(uuids(&ids))).await?;
    let batches = batches.iter().map(rows::batch).collect::<Result<_, _>>()?;
    let checkpoints = checkpoints_of(session, &ids).await?;
    let reruns = reruns_of(session, RERUNS, &ids).await?;
    let identities = session.fetch(sqlx::query(rows::IDENTITIES_OF).bind(uuids(&ids))).await?;
    let identities = identities.iter().map(rows::identity_row).collect::<Result<_, _>>()?;
    let events = event::rows_of(session, &ids).await?;
    session.end_read().await?;
    Ok(Dump { tasks, live, results, attempts, actions, batches, checkpoints, reruns, identities, events })
}

async fn actions_of(session: &mut Session, tasks: &[TaskId]) -> Result<Vec<ActionRow>, StoreError> {
    session.fetch(sqlx::query(ACTIONS).bind(uuids(tasks))).await?.iter().map(action).collect()
}

fn action(row: &PgRow) -> Result<ActionRow, StoreError> {
    let columns = &mut Columns::of(row);
    let (id, task): (Uuid, _) = (columns.get()?, columns.task()?);
    let number = columns.get::<Option<i32>>()?.and_then(|number| u32::try_from(number).ok()).map(StepNumber);
    let kind: &str = columns.get()?;
    let kind = Act::KINDS.iter().find(|known| **known == kind).unwrap_or(&"other");
    Ok(ActionRow { id, task, number, kind, actor: columns.get()?, reason: columns.get()?, at: columns.time()? })
}
