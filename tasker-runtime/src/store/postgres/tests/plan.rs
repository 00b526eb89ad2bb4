//! Claims, and what failed, are found by the indexes that were made for them, however many rows there are of other states.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::server::{Database, is_there, open, run};
use crate::store::postgres::claim::{DUE, FRESH, LOSSY, NEXT_DUE};
use crate::store::postgres::read::FAILURES;
use crate::store::postgres::workers::EXPIRED;

/// As many rows of each state as make the planner take the table for what it becomes.
const MANY: &str = "INSERT INTO tasker.live_steps (task, number, state, attempt, failures, losses, unmet, met, queue, priority, \
     ready_at, held, claimed_by, claimed_at) SELECT gen_random_uuid(), 0, s, 1, 0, n % 50 / 49, CASE s WHEN 0 THEN 1 ELSE 0 END, \
     true, n % 7, (n % 3)::smallint, n, false, CASE s WHEN 2 THEN gen_random_uuid() END, CASE s WHEN 2 THEN 1 END \
     FROM generate_series(1, 20000) AS n, unnest(ARRAY[0, 1, 2, 3]::smallint[]) AS s";

async fn plan(connection: &mut PgConnection, statement: &str, types: &str, values: &str) -> String {
    run(connection, &format!("PREPARE asked ({types}) AS {statement}")).await;
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE asked ({values})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
    run(connection, "DEALLOCATE asked").await;
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn claims_and_due_retries_use_their_indexes() {
    if !is_there() {
        return;
    }
    let (_store, database): (_, Database) = open().await;
    let mut connection = database.connect().await;
    run(&mut connection, MANY).await;
    run(&mut connection, "ANALYZE tasker.live_steps").await;
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut connection, &format!("SET plan_cache_mode = {mode}")).await;
        for (statement, types, values, index) in [
            (FRESH, "bigint[], bigint, bigint", "'{1,2,3}', 20000, 100", "live_steps_claim"),
            (LOSSY, "bigint[], bigint, bigint", "'{1,2,3}', 20000, 1", "live_steps_lossy"),
            (NEXT_DUE, "bigint", "20000", "live_steps_due"),
            (DUE, "bigint, bigint", "20000, 1000", "live_steps_due"),
            (EXPIRED, "bigint, bigint", "20000, 256", "live_steps_running"),
        ] {
            let told = plan(&mut connection, statement, types, values).await;
            assert!(told.contains(index), "{mode}: it does not use {index}:\n{told}");
            assert!(!told.contains("Seq Scan on live_steps"), "{mode}: it reads the whole table:\n{told}");
        }
    }
}

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
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut connection, &format!("SET plan_cache_mode = {mode}")).await;
        for values in ["NULL, NULL, 100000, 10000", "'t', 'n', 100000, 10000"] {
            let told = plan(&mut connection, FAILURES, "text, text, bigint, bigint", values).await;
            for index in ["tasks_failed", "step_results_pkey"] {
                assert!(told.contains(index), "{mode}: it does not use {index}:\n{told}");
            }
            assert!(
                !told.contains("Seq Scan on tasks") && !told.contains("Seq Scan on step_results"),
                "{mode}:\n{told}"
            );
        }
    }
}
