//! What failed is found by the index of failed tasks, and then task by task, whatever else there is.

use super::plan::plan;
use super::server::{Database, is_there, open, run};
use crate::core::{QueueId, TemplateId};
use crate::store::conformance::sample::chain;
use crate::store::named::StepsNamed;
use crate::store::postgres::filter::{failures, list};
use crate::store::{Page, TaskFilter};

/// Tasks of which one in a hundred failed, each with two steps.
const TASKS: &[&str] = &[
    "INSERT INTO tasker.templates (id, hash, namespace, name, version, body, generation, stored_at) \
     VALUES (1, decode(repeat('00', 32), 'hex'), 'n', 't', '1.0.0', '{}', 1, 0)",
    "INSERT INTO tasker.tasks (id, template, state, open_steps, runnable, priority, created_at, finished_at) SELECT gen_random_uuid(), \
     1, CASE n % 100 WHEN 0 THEN 4 ELSE 3 END, 0, 0, 0, n, n FROM generate_series(1, 20000) AS n",
    "INSERT INTO tasker.step_results (task, number, outcome, cause, attempt, finished_at, result, detail) SELECT t.id, s, \
     CASE t.state WHEN 4 THEN 5 ELSE 4 END, 0, 1, 1, CASE t.state WHEN 4 THEN NULL ELSE '1' END, '{}' \
     FROM tasker.tasks AS t, generate_series(0, 1) AS s",
    "ANALYZE tasker.tasks, tasker.step_results",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn failures_are_found_by_the_index_of_failed_tasks() {
    if !is_there() {
        return;
    }
    let (_store, database): (_, Database) = open().await;
    let mut connection = database.connect().await;
    for statement in TASKS {
        run(&mut connection, statement).await;
    }
    let text = |text: &str| Some(text.to_owned());
    let pinned = std::sync::Arc::new(crate::core::Pinned::new(TemplateId(1), chain(2), &[QueueId(1); 2]));
    // Each with as many values as its statement has parameters.
    let filters = [
        (TaskFilter::default(), "(100000, 10000)", None),
        (
            TaskFilter { template: text("t"), namespace: text("n"), ..TaskFilter::default() },
            "('t', 'n', 100000, 10000)",
            None,
        ),
        (TaskFilter { step: text("step_1"), ..TaskFilter::default() }, "(100000, 10000)", Some("(100)")),
        (
            TaskFilter { error: text("x"), ..TaskFilter::default() },
            "(100000, 'x', 'x', 10000)",
            Some("('x', 'x', 100)"),
        ),
        (
            TaskFilter { step: text("step_1"), error: text("x"), ..TaskFilter::default() },
            "(100000, 'x', 'x', 10000)",
            Some("('x', 'x', 100)"),
        ),
    ];
    let page = Page { before: None, limit: 100 };
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut connection, &format!("SET plan_cache_mode = {mode}")).await;
        for (filter, values, listed) in &filters {
            let mut named = StepsNamed::default();
            named.add(&pinned, filter);
            let mut plans = vec![plan(&mut connection, failures(filter, &named).sql().as_str(), values).await];
            if let Some(values) = listed {
                plans.push(
                    plan(&mut connection, list("SELECT t.id", filter, &named, page).sql().as_str(), values).await,
                );
            }
            for told in plans {
                for index in ["tasks_failed", "step_results_pkey"] {
                    assert!(told.contains(index), "{mode}, {filter:?}: it does not use {index}:\n{told}");
                }
                let scans = told.contains("Seq Scan on tasks") || told.contains("Seq Scan on step_results");
                assert!(!scans, "{mode}, {filter:?}:\n{told}");
            }
        }
    }
}
