//! The ceiling on a server: the rows that the bare loop of `ceiling.rs` writes, one statement for each table, in arrays.

use std::time::Instant;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres};
use tasker_runtime::store::postgres::PostgresStore;
use tasker_runtime::store::sqlite::Durability;
use uuid::Uuid;

use crate::ceiling::{BATCH_MAX, rows};
use crate::database::{Database, Kind, connect, run as run_text};
use crate::report::Row;

const TASKS: &str = "INSERT INTO tasker.tasks SELECT id, 1, 1, 4, 1, 0, 7, 7, NULL FROM unnest($1::uuid[]) AS v (id)";
const INPUTS: &str = "INSERT INTO tasker.task_inputs SELECT v.*, '019a0000-0000-7000-8000-000000000000', 'bench', '', '' \
                      FROM unnest($1::uuid[], $2::text[]) AS v";
const UPDATE: &str = "UPDATE tasker.tasks AS t SET state = $2, open_steps = $3, runnable = $4, started_at = 7, finished_at = $5 \
                      FROM unnest($1::uuid[]) AS v (id) WHERE t.id = v.id";
/// Both columns of the key come from arrays: with one number for all, a plan made while the table is small goes through
/// all of it for each row.
const GONE: &str = "DELETE FROM tasker.live_steps AS l USING unnest($1::uuid[], $2::integer[]) AS v (task, number) \
                    WHERE l.task = v.task AND l.number = v.number";
const OVER: &str = "INSERT INTO tasker.step_results SELECT v.task, $2, 4, 0, 1, $3, 7, 8, 9, v.result, NULL \
                    FROM unnest($1::uuid[], $4::text[]) AS v (task, result)";
const LIVE: &str = "INSERT INTO tasker.live_steps SELECT v.task, $2, 2, 1, 0, 0, 0, true, 1, 0, 7, false, $3, 8 \
                    FROM unnest($1::uuid[]) AS v (task)";

pub(crate) async fn run(tasks: usize, batch: usize) -> anyhow::Result<Vec<Row>> {
    Ok(rows(batch, rate(tasks, batch).await?, rate(tasks, BATCH_MAX).await?))
}

async fn rate(tasks: usize, batch: usize) -> anyhow::Result<f64> {
    let database = Database::create(Kind::Postgres).await?;
    PostgresStore::open(&database.address, Durability::Full).await?.close().await?;
    let mut connection = connect(&database.address).await?;
    let template = "INSERT INTO tasker.templates VALUES (1, decode(repeat('00', 32), 'hex'), 'bench', 'chain', '1.0.0', '{}', 1, 0)";
    run_text(&mut connection, template).await?;
    let context = format!("{{\"payload\":\"{}\"}}", "x".repeat(240));
    let result = format!("\"{}\"", "y".repeat(62));
    let (contexts, results) = (vec![context; batch], vec![result; batch]);
    let began = Instant::now();
    for _ in 0..tasks.div_ceil(batch) {
        let ids: Vec<Uuid> = (0..batch).map(|_| Uuid::now_v7()).collect();
        chain(&mut connection, &ids, &contexts, &results).await?;
    }
    let steps = tasks.div_ceil(batch) * batch * 4;
    let rate = steps as f64 / began.elapsed().as_secs_f64();
    drop(connection);
    database.remove().await?;
    Ok(rate)
}

/// The five transactions of a batch of chains: accept, and four completions.
async fn chain(
    connection: &mut PgConnection,
    ids: &[Uuid],
    contexts: &[String],
    results: &[String],
) -> anyhow::Result<()> {
    let worker = Uuid::now_v7();
    let each = |text: &'static str| sqlx::query(text).bind(ids);
    for number in 0..=4i32 {
        run_text(connection, "BEGIN").await?;
        if number == 0 {
            execute(connection, ids, each(TASKS)).await?;
            execute(connection, ids, each(INPUTS).bind(contexts)).await?;
        } else {
            let (state, ended) = if number == 4 { (3i16, Some(9i64)) } else { (1, None) };
            let update = each(UPDATE).bind(state).bind(4 - number).bind(i32::from(number < 4)).bind(ended);
            execute(connection, ids, update).await?;
            execute(connection, ids, each(GONE).bind(vec![number - 1; ids.len()])).await?;
            execute(connection, ids, each(OVER).bind(number - 1).bind(worker).bind(results)).await?;
        }
        if number < 4 {
            execute(connection, ids, each(LIVE).bind(number).bind(worker)).await?;
        }
        run_text(connection, "COMMIT").await?;
    }
    Ok(())
}

/// Every statement writes one row a task.
async fn execute(
    connection: &mut PgConnection,
    ids: &[Uuid],
    query: Query<'_, Postgres, PgArguments>,
) -> anyhow::Result<()> {
    let written = query.execute(connection).await?.rows_affected();
    anyhow::ensure!(written == ids.len() as u64, "a statement wrote {written} rows");
    Ok(())
}
