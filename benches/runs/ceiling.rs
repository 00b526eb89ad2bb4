//! The ceiling: a bare loop that writes the rows of 4-step chains, as many to a transaction as the engine would.
//!
//! Same tables, same indexes, same payloads, durable; nothing is read, decided, run or answered.

use std::time::Instant;

use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, SqliteConnection};
use tasker_runtime::store::sqlite::{Durability, SqliteStore};
use uuid::Uuid;

use crate::machine;
use crate::report::{Row, row};

const BATCH: usize = 256;

pub(crate) async fn run(tasks: usize) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir_in(machine::place())?;
    let path = directory.path().join("ceiling.db");
    SqliteStore::open(&path, Durability::Full).await?.close().await?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(256);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query("INSERT INTO templates VALUES (1, zeroblob(32), 'bench', 'chain', '1.0.0', '{}', 1, 0)")
        .execute(&mut connection)
        .await?;
    let context = format!("{{\"payload\":\"{}\"}}", "x".repeat(240));
    let result = format!("\"{}\"", "y".repeat(62));
    let began = Instant::now();
    for _ in 0..tasks.div_ceil(BATCH) {
        let ids: Vec<Vec<u8>> = (0..BATCH).map(|_| Uuid::now_v7().as_bytes().to_vec()).collect();
        chain(&mut connection, &ids, &context, &result).await?;
    }
    let steps = tasks.div_ceil(BATCH) * BATCH * 4;
    let rate = steps as f64 / began.elapsed().as_secs_f64();
    Ok(vec![row(1, "ceiling: a bare loop, 256 to a transaction", rate, "steps/s", "")])
}

/// The five transactions of a batch of chains: accept, and four completions.
async fn chain(connection: &mut SqliteConnection, ids: &[Vec<u8>], context: &str, result: &str) -> anyhow::Result<()> {
    let worker = Uuid::now_v7().as_bytes().to_vec();
    let task = "INSERT INTO tasks VALUES ";
    let live = "INSERT INTO live_steps VALUES ";
    for number in 0..=4i64 {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        if number == 0 {
            rows(connection, task, 9, "", ids, |id, to| {
                add(to, id.clone(), &[Some(1), Some(1), Some(4), Some(1), Some(0), Some(7), Some(7), None])
            })
            .await?;
            rows(connection, "INSERT INTO task_inputs VALUES ", 6, "", ids, |id, to| {
                to.add(id.clone())?;
                to.add(context.to_owned())?;
                to.add("019a0000-0000-7000-8000-000000000000")?;
                to.add("bench")?;
                to.add("")?;
                to.add("")
            })
            .await?;
        } else {
            let (open, state) = (4 - number, if number == 4 { 3 } else { 1 });
            let update = "UPDATE tasks SET state = v.column2, open_steps = v.column3, runnable = v.column4, started_at = v.column5, finished_at = v.column6 FROM (VALUES ";
            let ended = (number == 4).then_some(9);
            rows(connection, update, 6, ") AS v WHERE tasks.id = v.column1", ids, |id, to| {
                add(to, id.clone(), &[Some(state), Some(open), Some(i64::from(number < 4)), Some(7), ended])
            })
            .await?;
            rows(connection, "DELETE FROM live_steps WHERE (task, number) IN (VALUES ", 2, ")", ids, |id, to| {
                add(to, id.clone(), &[Some(number - 1)])
            })
            .await?;
            rows(connection, "INSERT INTO step_results VALUES ", 11, "", ids, |id, to| {
                add(to, id.clone(), &[Some(number - 1), Some(4), Some(0), Some(1)])?;
                to.add(worker.clone())?;
                to.add(7i64)?;
                to.add(8i64)?;
                to.add(9i64)?;
                to.add(result.to_owned())?;
                to.add(None::<String>)
            })
            .await?;
        }
        if number < 4 {
            rows(connection, live, 14, "", ids, |id, to| {
                let zero = Some(0);
                add(
                    to,
                    id.clone(),
                    &[Some(number), Some(2), Some(1), zero, zero, zero, Some(1), Some(1), zero, Some(7), zero],
                )?;
                to.add(worker.clone())?;
                to.add(8i64)
            })
            .await?;
        }
        sqlx::query("COMMIT").execute(&mut *connection).await?;
    }
    Ok(())
}

type Bound = Result<(), sqlx::error::BoxDynError>;

fn add(to: &mut SqliteArguments, id: Vec<u8>, numbers: &[Option<i64>]) -> Bound {
    to.add(id)?;
    numbers.iter().try_for_each(|number| to.add(*number))
}

async fn rows(
    connection: &mut SqliteConnection,
    before: &str,
    columns: usize,
    after: &str,
    ids: &[Vec<u8>],
    bind: impl Fn(&Vec<u8>, &mut SqliteArguments) -> Bound,
) -> anyhow::Result<()> {
    let one = format!("({})", vec!["?"; columns].join(","));
    let text = format!("{before}{}{after}", vec![one; ids.len()].join(","));
    let mut arguments = SqliteArguments::default();
    for id in ids {
        bind(id, &mut arguments).map_err(|error| anyhow::anyhow!(error))?;
    }
    sqlx::query_with(AssertSqlSafe(text), arguments).execute(connection).await?;
    Ok(())
}
