//! Statements find their rows by the indexes that were made for them, however many rows there are.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tasker_types::TaskId;
use uuid::Uuid;

use super::server::{Database, is_there, open, run};
use crate::store::conformance::World;
use crate::store::conformance::sample::{roots, submit, worker};
use crate::store::postgres::claim::{DUE, FRESH, LOSSY, NEXT_DUE, TAKE};
use crate::store::postgres::common::{Kinds, Rows};
use crate::store::postgres::event::{DUE as EVENTS_DUE, EARLIER, FIRST_ONES, SOME_DUES, SOME_EARLIER};
use crate::store::postgres::load::{LOCK, MOMENT, STEPS};
use crate::store::postgres::read::WAITING;
use crate::store::postgres::workers::{EXPIRED, OVERDUE};
use crate::store::postgres::write::CHANGED;
use crate::store::{ClaimRequest, Store as _};

/// How many ready, finished and scheduled rows; `cargo xtask bench plans` has it be a million.
const VARIABLE: &str = "TASKER_TEST_PLAN_ROWS";
const FEWER: u32 = 100_000;

fn many() -> u32 {
    std::env::var(VARIABLE).map_or(FEWER, |many| many.parse().unwrap())
}

/// Tasks of one step: ready, finished and scheduled ones, and a thousand of each other kind.
async fn fill(connection: &mut PgConnection, many: u32) {
    let id = "(lpad(to_hex(PREFIX + n), 12, '0') || '70008000000000000000')::uuid";
    let kinds =
        [(1, many, "0, 1, 1, 0, n, NULL, NULL"), (3, many, "1, 1, 1, 0, n, n, NULL"), (4, many, "3, 0, 0, 0, n, n, n")];
    let others = [(0, 1_000, "1, 1, 1, 0, n, n, NULL"), (2, 1_000, "1, 1, 1, 0, n, n, NULL")];
    for (state, count, task) in kinds.into_iter().chain(others) {
        let id = id.replace("PREFIX", &format!("{}", state * 0x10_0000_0000_i64));
        let step = if state == 4 {
            format!("step_results SELECT {id}, 0, 4, 0, 1, gen_random_uuid(), n, n, n, '1', NULL")
        } else {
            format!(
                "live_steps SELECT {id}, 0, {state}, 1, 0, n % 50 / 49, CASE {state} WHEN 0 THEN 1 ELSE 0 END, true, n % 7, \
                 (n % 3)::smallint, n, false, CASE {state} WHEN 2 THEN gen_random_uuid() END, CASE {state} WHEN 2 THEN 1 END"
            )
        };
        run(
            connection,
            &format!("INSERT INTO tasker.tasks SELECT {id}, 1, {task} FROM generate_series(1, {count}) AS n"),
        )
        .await;
        run(connection, &format!("INSERT INTO tasker.{step} FROM generate_series(1, {count}) AS n")).await;
    }
    run(connection, "ANALYZE").await;
}

pub(super) async fn plan(connection: &mut PgConnection, statement: &str, values: &str) -> String {
    run(connection, &format!("PREPARE asked AS {statement}")).await;
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE asked {values}");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
    run(connection, "DEALLOCATE asked").await;
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

/// So many parameters that say nothing.
fn nulls(count: usize) -> String {
    format!("({})", vec!["NULL"; count].join(", "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn statements_use_their_indexes_however_many_rows_there_are() {
    if !is_there() {
        return;
    }
    let (_store, database): (_, Database) = open().await;
    let mut connection = database.connect().await;
    fill(&mut connection, many()).await;
    let uuids = "array_fill(gen_random_uuid(), '{256}')";
    let numbers = "array_fill(0, '{256}')";
    let steps = format!("(NULL, gen_random_uuid(), '{{1,2,3}}', {uuids}, {numbers})");
    let take = format!("({uuids}, {numbers}, gen_random_uuid(), NULL)");
    // A session of the store plans once, without a look at the values and at how small a table may just be.
    for setting in [
        "plan_cache_mode = force_generic_plan",
        "enable_seqscan = off",
        "enable_hashjoin = off",
        "enable_mergejoin = off",
    ] {
        run(&mut connection, &format!("SET {setting}")).await;
    }
    let statements: [(&str, String, &[&str]); 20] = [
        (FRESH, "('{1,2,3}', 20000, 100, gen_random_uuid())".into(), &["live_steps_claim"]),
        (LOSSY, "('{1,2,3}', 20000, 1, gen_random_uuid())".into(), &["live_steps_lossy"]),
        (TAKE, take, &["live_steps_pkey", "tasks_pkey"]),
        (NEXT_DUE, "(20000)".into(), &["live_steps_due"]),
        (DUE, "(20000, 1000)".into(), &["live_steps_due"]),
        (EXPIRED, "(20000, 256)".into(), &["live_steps_running"]),
        (OVERDUE, "(20000, 256, NULL)".into(), &["live_steps_running"]),
        (WAITING, String::new(), &["live_steps_claim", "live_steps_lossy", "live_steps_due", "queues_pkey"]),
        (&LOCK.text, format!("({uuids})"), &["tasks_pkey"]),
        (&STEPS.text, steps, &["live_steps_pkey", "step_results_pkey", "live_steps_claim"]),
        (&MOMENT.text, nulls(3), &["live_steps_claim"]),
        (&Kinds::ALL.one().text, nulls(1), &["tasks_pkey", "live_steps_pkey"]),
        (Kinds::ALL.text(Rows::Few), nulls(50), &["tasks_pkey", "live_steps_pkey"]),
        (Kinds::ALL.text(Rows::Many), nulls(50), &["tasks_pkey", "live_steps_pkey"]),
        (EVENTS_DUE, "(1, 20000, 0, 0, 512)".into(), &["event_deliveries_due"]),
        (FIRST_ONES, format!("(1, {uuids}, 16)"), &["event_deliveries_task", "domain_events_pkey"]),
        (SOME_EARLIER, "(1, 20000, 10000)".into(), &["domain_events_pkey"]),
        (EARLIER, "(1, 1, 10000, '{a}')".into(), &["domain_events_pkey"]),
        (SOME_DUES, "(1, 10000)".into(), &["event_deliveries_pkey"]),
        (CHANGED, nulls(14), &["live_steps_pkey"]),
    ];
    for (statement, values, indexes) in statements {
        let told = plan(&mut connection, statement, &values).await;
        for index in indexes {
            assert!(told.contains(index), "it does not use {index}:\n{told}");
        }
        for table in ["live_steps", "tasks", "step_results"] {
            assert!(!told.contains(&format!("Seq Scan on {table}")), "it reads the whole table:\n{told}");
        }
        assert!(sorts_few(&told), "it sorts what an index has in order:\n{told}");
        assert!(joins_by_keys(&told), "it compares each row with each:\n{told}");
    }
}

/// Whether no rows that a join goes through again for each row of the other side are those of a list: a list has no keys.
fn joins_by_keys(plan: &str) -> bool {
    let lines: Vec<&str> = plan.lines().collect();
    let depth = |line: &str| line.find("->").unwrap_or_default();
    lines.iter().enumerate().filter(|(_, line)| line.contains("Nested Loop")).all(|(at, join)| {
        let below = || lines[at + 1..].iter().take_while(|line| !line.contains("->") || depth(line) > depth(join));
        let compares = below().take_while(|line| !line.contains("->")).any(|line| line.contains("Join Filter"));
        let mut sides = below().filter(|line| line.contains("->"));
        let first = sides.next().map_or(0, |line| depth(line));
        let inner = sides.find(|line| depth(line) == first);
        !compares || inner.is_none_or(|inner| inner.contains("Index"))
    })
}

/// A sort of a few rows that come from many probes is no harm; one right above a table's rows is: then all of a queue would be
/// read to find those that come first.
fn sorts_few(plan: &str) -> bool {
    let lines: Vec<&str> = plan.lines().collect();
    let sorts =
        lines.iter().enumerate().filter(|(_, line)| line.contains("->  Sort") || line.contains("Incremental Sort"));
    sorts.filter_map(|(at, _)| lines[at + 1..].iter().find(|line| line.contains("->"))).all(|below| {
        !below.contains("live_steps_claim") && !below.contains("live_steps_lossy") && !below.contains("live_steps_due")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lists_use_their_indexes_however_many_rows_there_are() {
    if !is_there() {
        return;
    }
    let (_store, database): (_, Database) = open().await;
    let mut connection = database.connect().await;
    fill(&mut connection, many()).await;
    let columns = "SELECT t.id FROM tasker.tasks AS t WHERE";
    let lists = BTreeMap::from([
        (
            "tasks_open",
            format!(
                "{columns} t.state IN (0, 1, 2, 5) AND t.state IN (0, 1) AND t.id < $1 ORDER BY t.id DESC LIMIT 50"
            ),
        ),
        ("tasks_failed", format!("{columns} t.state = 4 AND t.state IN (4) AND t.id < $1 ORDER BY t.id DESC LIMIT 50")),
        ("tasks_pkey", format!("{columns} true AND t.id < $1 ORDER BY t.id DESC LIMIT 50")),
    ]);
    for (index, list) in lists {
        let told = plan(&mut connection, &list, "(gen_random_uuid())").await;
        assert!(told.contains(index) && !told.contains("Seq Scan") && !told.contains("Sort"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_step_behind_a_hundred_thousand_of_another_namespace_is_claimed_next() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let mut connection = database.connect().await;
    let mut w = World::new(&store);
    let first = w.pin(roots(1)).await;
    let mut other = roots(1);
    other.template.namespace = "other".to_owned();
    let other = w.pin(other).await;
    let id = "(lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid";
    let series = "FROM generate_series(1, 100000) AS n";
    let (template, queue) = (first.id.0, first.steps[0].queue.0);
    run(
        &mut connection,
        &format!("INSERT INTO tasker.tasks SELECT {id}, {template}, 0, 1, 1, 0, n, NULL, NULL {series}"),
    )
    .await;
    let live = format!(
        "INSERT INTO tasker.live_steps SELECT {id}, 0, 1, 0, 0, 0, 0, true, {queue}, 0, n, false, NULL, NULL {series}"
    );
    run(&mut connection, &live).await;
    let last = TaskId::from_uuid(Uuid::from_u128(0xffff << 104));
    let batch = crate::core::Batch { commands: [submit(last, &other)].into(), capacity: None, now: Some(w.now) };
    store.transact(batch).await.unwrap();
    w.enroll(worker(1)).await;
    let request = ClaimRequest { limit: 2, ..w.request(worker(1)) };
    let claimed = store.claim(request).await.unwrap().claimed;
    assert!(claimed.iter().any(|claim| claim.task == last), "{claimed:?}");
}
