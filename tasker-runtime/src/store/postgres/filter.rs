//! Which tasks a filter means: statements that find them by the index of their states, and what failed of them task by task.

use sqlx::{Postgres, QueryBuilder};
use tasker_types::TaskState;

use super::read::templates_that_name;
use super::session::Session;
use super::templates::Templates;
use crate::store::named::{StepsNamed, in_template};
use crate::store::read::GROUPS_MAX;
use crate::store::{FAILED_TASKS_MAX, Page, StoreError, TaskFilter};

/// Which templates have the step that is asked for, read in the transaction that was begun; `None` where none has.
pub(super) async fn named(
    session: &mut Session,
    templates: &Templates,
    filter: &TaskFilter,
) -> Result<Option<StepsNamed>, StoreError> {
    let mut named = StepsNamed::default();
    let Some(step) = &filter.step else { return Ok(Some(named)) };
    for id in templates_that_name(session, in_template(step)).await? {
        named.add(&templates.by_id(session, id).await?, filter);
    }
    Ok((!named.is_empty()).then_some(named))
}

/// A page of the tasks that are meant.
pub(super) fn list(columns: &str, filter: &TaskFilter, named: &StepsNamed, page: Page) -> QueryBuilder<Postgres> {
    let states = filter.states();
    let mut query = QueryBuilder::new(columns);
    query.push(" FROM tasker.tasks AS t WHERE ").push(index_of(states));
    of_template(&mut query, filter);
    if !states.is_empty() {
        let codes: Vec<String> = states.iter().map(|state| state.code().to_string()).collect();
        query.push(" AND t.state IN (").push(codes.join(", ")).push(")");
    }
    if filter.is_about_failures() {
        query.push(" AND EXISTS (SELECT 1 FROM tasker.step_results AS r WHERE r.task = t.id AND r.outcome = 5");
        of_failure(&mut query, filter, named);
        // Looked up task by task, however many results the planner thinks that there are: without this it reads them all.
        query.push(" OFFSET 0)");
    }
    if let Some(before) = page.before {
        query.push(" AND t.id < ").push_bind(before.uuid());
    }
    query.push(" ORDER BY t.id DESC LIMIT ").push_bind(i64::from(page.rows()));
    query
}

/// What failed of the tasks that are meant, in groups; again task by task. PostgreSQL 15 knows no greatest UUID; as text they
/// have the same order.
pub(super) fn failures(filter: &TaskFilter, named: &StepsNamed) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "SELECT t.template, r.number, r.detail::json ->> 'error_type', r.detail::json ->> 'error_code', count(*), \
         max(t.id::text)::uuid, max(r.finished_at) FROM (SELECT t.id, t.template FROM tasker.tasks AS t WHERE t.state = 4",
    );
    of_template(&mut query, filter);
    query.push(" ORDER BY t.id DESC LIMIT ").push_bind(i64::from(FAILED_TASKS_MAX));
    query.push(
        ") AS t CROSS JOIN LATERAL (SELECT r.number, r.detail, r.finished_at FROM tasker.step_results AS r \
         WHERE r.task = t.id AND r.outcome = 5",
    );
    of_failure(&mut query, filter, named);
    query.push(" OFFSET 0) AS r GROUP BY 1, 2, 3, 4 ORDER BY 6 DESC LIMIT ").push_bind(i64::from(GROUPS_MAX));
    query
}

/// The condition of the partial index that holds every task in one of these states.
fn index_of(states: &[TaskState]) -> &'static str {
    match states {
        [TaskState::Failed] => "t.state = 4",
        [_, ..] if states.iter().all(|state| !state.is_over()) => "t.state IN (0, 1, 2, 5)",
        _ => "true",
    }
}

fn of_template(query: &mut QueryBuilder<Postgres>, filter: &TaskFilter) {
    if filter.template.is_none() && filter.namespace.is_none() {
        return;
    }
    query.push(" AND t.template IN (SELECT p.id FROM tasker.templates AS p WHERE true");
    if let Some(name) = &filter.template {
        query.push(" AND p.name = ").push_bind(name.clone());
    }
    if let Some(namespace) = &filter.namespace {
        query.push(" AND p.namespace = ").push_bind(namespace.clone());
    }
    query.push(")");
}

/// The condition that a filter makes of a failed step `r`.
fn of_failure(query: &mut QueryBuilder<Postgres>, filter: &TaskFilter, named: &StepsNamed) {
    if !named.is_empty() {
        query.push(" AND ").push(named.condition());
    }
    if let Some(error) = &filter.error {
        query.push(" AND (r.detail::json ->> 'error_code' = ").push_bind(error.clone());
        query.push(" OR r.detail::json ->> 'error_type' = ").push_bind(error.clone()).push(")");
    }
}
