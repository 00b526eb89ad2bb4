//! The ceiling: a bare loop that writes the rows of 4-step chains, as many to a transaction as the engine did in the same round.
//!
//! Same tables, same indexes, same payloads, durable; nothing is read, decided, run or answered.

use std::time::Instant;

use rusqlite::{Connection, ToSql};
use tasker_runtime::store::sqlite::{Durability, SqliteStore};
use uuid::Uuid;

use crate::machine;
use crate::report::{Row, row};

/// As many commands as one batch of the engine has at most.
pub(crate) const BATCH_MAX: usize = 256;
/// What the row of the loop is called that has as many to a transaction as the engine.
pub(crate) const CEILING: &str = "ceiling: a bare loop with the engine's batches";

/// The figures of the loop, where `rate` tells how fast it is with so many tasks to a transaction.
pub(crate) fn rows(batch: usize, same: f64, most: f64) -> Vec<Row> {
    vec![
        row(1, CEILING, same, "steps/s", ""),
        row(1, format!("the same loop, {BATCH_MAX} to a transaction"), most, "steps/s", ""),
        row(1, "commands to a transaction of the engine", batch as f64, "", ""),
    ]
}

pub(crate) async fn run(tasks: usize, batch: usize) -> anyhow::Result<Vec<Row>> {
    Ok(rows(batch, rate(tasks, batch).await?, rate(tasks, BATCH_MAX).await?))
}

async fn rate(tasks: usize, batch: usize) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir_in(machine::place())?;
    let path = directory.path().join("ceiling.db");
    SqliteStore::open(&path, Durability::Full).await?.close().await?;
    let connection = Connection::open(&path)?;
    connection.query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute("INSERT INTO templates VALUES (1, zeroblob(32), 'bench', 'chain', '1.0.0', '{}', 1, 0)", ())?;
    let context = format!("{{\"payload\":\"{}\"}}", "x".repeat(240));
    let result = format!("\"{}\"", "y".repeat(62));
    let began = Instant::now();
    for _ in 0..tasks.div_ceil(batch) {
        let ids: Vec<[u8; 16]> = (0..batch).map(|_| Uuid::now_v7().into_bytes()).collect();
        chain(&connection, &ids, &context, &result)?;
    }
    let steps = tasks.div_ceil(batch) * batch * 4;
    Ok(steps as f64 / began.elapsed().as_secs_f64())
}

/// The five transactions of a batch of chains: accept, and four completions.
fn chain(connection: &Connection, ids: &[[u8; 16]], context: &str, result: &str) -> rusqlite::Result<()> {
    let worker = Uuid::now_v7().into_bytes();
    let none: Option<i64> = None;
    for number in 0..=4i64 {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        if number == 0 {
            let task = "INSERT INTO tasks VALUES (?, 1, 1, 4, 1, 0, 7, 7, NULL)";
            each(connection, task, ids, &[])?;
            let input = "INSERT INTO task_inputs VALUES (?, ?, ?, ?, ?, ?)";
            each(connection, input, ids, &[&context, &"019a0000-0000-7000-8000-000000000000", &"bench", &"", &""])?;
        } else {
            let (state, ended) = if number == 4 { (3, Some(9)) } else { (1, None) };
            let update = "UPDATE tasks SET state = ?2, open_steps = ?3, runnable = ?4, started_at = ?5, finished_at = ?6 WHERE id = ?1";
            each(connection, update, ids, &[&state, &(4 - number), &i64::from(number < 4), &7, &ended])?;
            each(connection, "DELETE FROM live_steps WHERE task = ? AND number = ?", ids, &[&(number - 1)])?;
            let over = "INSERT INTO step_results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            each(connection, over, ids, &[&(number - 1), &4, &0, &1, &worker, &7, &8, &9, &result, &none])?;
        }
        if number < 4 {
            let live = "INSERT INTO live_steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            each(connection, live, ids, &[&number, &2, &1, &0, &0, &0, &1, &1, &0, &7, &0, &worker, &8])?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(())
}

/// Runs a statement for each task: its id comes first, then these values.
fn each(connection: &Connection, sql: &str, ids: &[[u8; 16]], values: &[&dyn ToSql]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    for (at, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(at + 2, value)?;
    }
    for id in ids {
        statement.raw_bind_parameter(1, id)?;
        statement.raw_execute()?;
    }
    Ok(())
}
