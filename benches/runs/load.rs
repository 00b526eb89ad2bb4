//! The engine under load and idle, with handlers that do nothing.

use std::time::{Duration, Instant};

use tasker_runtime::engine::Options;
use tasker_types::TaskState;

use crate::database::{Bench, Database, Kind, Opened, Running, synced};
use crate::machine::{fdatasync_us, median, percentile};
use crate::report::{Row, row};
use crate::workload::{batch, chain, cutting, fan_out, keep_in_flight, nothing, request};

/// Tasks that are kept going, where a row says no other number.
pub(crate) const IN_FLIGHT: usize = 256;
/// Payload of a chain of four: a context, and the four results.
const PAYLOAD_OF_CHAIN: f64 = 254.0 + 4.0 * 64.0;

pub(crate) async fn single_steps(kind: Kind, tasks: usize) -> anyhow::Result<Vec<Row>> {
    let options = Options { slots: 1_000, ..Options::default() };
    let bench = Bench::start(kind, &[chain(1)], nothing(), options).await?;
    let took = keep_in_flight(&bench.engine, "chain_1", tasks, 1_000).await?;
    bench.stop().await?;
    let target = kind.of("must 30,000, goal 70,000", "must 20,000, goal 50,000");
    Ok(vec![row(0, "1-step tasks, 1,000 in flight", tasks as f64 / took.as_secs_f64(), "tasks/s", target)])
}

/// The rate of 4-step chains, and how many commands the engine had to a transaction.
pub(crate) async fn chains(kind: Kind, tasks: usize) -> anyhow::Result<(Vec<Row>, usize)> {
    let options = Options { slots: IN_FLIGHT, ..Options::default() };
    let bench = Bench::start(kind, &[chain(4)], nothing(), options).await?;
    let took = keep_in_flight(&bench.engine, "chain_4", tasks, IN_FLIGHT).await?;
    let stats = bench.engine.stats();
    let batch = usize::try_from(stats.commands / stats.transactions.max(1))?.max(1);
    bench.stop().await?;
    let rate = tasks as f64 * 4.0 / took.as_secs_f64();
    let rows = match kind {
        Kind::Memory => vec![row(1, "the same in memory", rate, "steps/s", "")],
        _ => {
            let target = kind.of("must 40,000, goal 80,000", "must 25,000, goal 60,000");
            vec![row(1, "4-step chains, 256 in flight", rate, "steps/s", target)]
        }
    };
    Ok((rows, batch))
}

/// About as long as it takes on an idle system from one commit to the next.
const PAUSE: Duration = Duration::from_micros(200);

/// A disk that was not just written to takes longer: beside the probe's time of one sync directly after the other, that of
/// a sync as this row meets it is told. The server measures its own; beside SQLite it is probed, with pauses.
pub(crate) async fn idle_latency(kind: Kind, tasks: usize, probed_us: f64) -> anyhow::Result<Vec<Row>> {
    let database = Database::create(kind).await?;
    let socket = database.over_socket().await?;
    let bench = Bench::on(database, &[chain(4)], nothing(), Options::default()).await?;
    let mut times = Vec::new();
    let unsynced = if kind == Kind::Postgres { Some(synced().await?) } else { None };
    let before = bench.engine.stats();
    for _ in 0..tasks {
        let began = Instant::now();
        bench.engine.run(request("chain_4")).await?;
        times.push(began.elapsed());
    }
    let after = bench.engine.stats();
    let mut over_socket = Vec::new();
    if let Some(socket) = socket {
        let opened = Opened::at(kind, &socket).await?;
        let running = Running::start(opened, &[], nothing(), Options::default()).await?;
        // One worker at a time: the other one's would take its share.
        bench.engine.stop().await;
        for _ in 0..tasks {
            let began = Instant::now();
            running.engine.run(request("chain_4")).await?;
            over_socket.push(began.elapsed());
        }
        running.stop().await?;
    }
    bench.stop().await?;
    let sync_ms = match unsynced {
        // The server counts what a process did when that ends.
        Some((count, took)) => {
            let (count_then, took_then) = synced().await?;
            (took_then - took) / (count_then - count)
        }
        None => fdatasync_us(PAUSE)? * 1e-3,
    };
    let commits = (after.transactions - before.transactions) as f64 / tasks as f64;
    let (p50, p99) = (median(&mut times), percentile(&mut times, 99));
    let target = kind.of("5 F + 1 ms", "5 F + 2 ms");
    let mut rows = vec![
        row(2, "one 4-step task, idle: p50", p50.as_secs_f64() * 1e3, "ms", target),
        row(2, "one 4-step task, idle: p50 less 5 F", p50.as_secs_f64() * 1e3 - probed_us * 5e-3, "ms", ""),
        row(2, "an fsync of this row, between other things", sync_ms, "ms", ""),
        row(
            2,
            "one 4-step task, idle: p50 less 5 of these",
            p50.as_secs_f64() * 1e3 - sync_ms * 5.0,
            "ms",
            kind.of("1 ms", "2 ms"),
        ),
        row(2, "one 4-step task, idle: p99", p99.as_secs_f64() * 1e3, "ms", ""),
        row(2, "one 4-step task, idle: commits", commits, "commits", "at most 5"),
    ];
    if !over_socket.is_empty() {
        let p50 = median(&mut over_socket).as_secs_f64() * 1e3;
        rows.push(row(2, "the same over the server's Unix socket: p50", p50, "ms", target));
    }
    Ok(rows)
}

/// One step, so many beside one another, and one that waits for all of them: as steps of the template, and as the workers
/// of a batch.
pub(crate) async fn fan_outs(kind: Kind, widths: &[usize]) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &width in widths {
        let shapes = [("fan-out", "fan", fan_out(width)), ("batch", "batch", batch(width))];
        for (shape, name, template) in shapes {
            let bench = Bench::start(kind, &[template], cutting(width), Options::default()).await?;
            let began = Instant::now();
            let (_, state) = bench.engine.run(request(&format!("{name}_{width}"))).await?;
            anyhow::ensure!(state == TaskState::Completed, "the task is {state}");
            let took = began.elapsed();
            bench.stop().await?;
            let target = if width == 1_000 { kind.of("100 ms", "150 ms") } else { kind.of("1,500 ms", "2,000 ms") };
            rows.push(row(3, format!("{shape} 1 x {width} x 1"), took.as_secs_f64() * 1e3, "ms", target));
        }
    }
    Ok(rows)
}

pub(crate) async fn transactions(kind: Kind, tasks: usize) -> anyhow::Result<Vec<Row>> {
    let options = Options { slots: IN_FLIGHT, ..Options::default() };
    let bench = Bench::start(kind, &[chain(4)], nothing(), options).await?;
    let before = bench.engine.stats();
    keep_in_flight(&bench.engine, "chain_4", tasks, IN_FLIGHT).await?;
    let loaded = bench.engine.stats();
    bench.engine.run(request("chain_4")).await?;
    let idle = bench.engine.stats();
    bench.stop().await?;
    let steps = tasks as f64 * 4.0;
    let (loaded, idle) = (loaded.transactions - before.transactions, idle.transactions - loaded.transactions);
    Ok(vec![
        row(5, "transactions a step, loaded", loaded as f64 / steps, "", "0.05"),
        row(5, "transactions a step, idle", idle as f64 / 4.0, "", "1.25"),
    ])
}

/// What a step costs the server, by its own counts.
pub(crate) async fn written(kind: Kind, tasks: usize) -> anyhow::Result<Vec<Row>> {
    let database = Database::create(kind).await?;
    database.count_statements().await?;
    let options = Options { slots: IN_FLIGHT, ..Options::default() };
    let bench = Bench::on(database, &[chain(4)], nothing(), options).await?;
    // What is written once only, and what the first plans take, is none of it.
    keep_in_flight(&bench.engine, "chain_4", tasks / 4, IN_FLIGHT).await?;
    let before = bench.database.counted().await?;
    let stats = bench.engine.stats();
    keep_in_flight(&bench.engine, "chain_4", tasks, IN_FLIGHT).await?;
    let batches = bench.engine.stats().transactions - stats.transactions;
    let after = bench.database.counted().await?;
    bench.stop().await?;
    let (Some(before), Some(after)) = (before, after) else { return Ok(Vec::new()) };
    let steps = tasks as f64 * 4.0;
    let wal = ((after.wal - before.wal) as f64 - PAYLOAD_OF_CHAIN * tasks as f64) / steps;
    let mut rows = vec![row(6, "WAL a step, payload not counted", wal, "bytes", "must 1,331, goal 922")];
    if let (Some(before), Some(after)) = (before.statements, after.statements) {
        let statements = (after - before) as f64;
        rows.push(row(6, "statements a step, loaded", statements / steps, "", ""));
        rows.push(row(6, "statements a transaction, loaded", statements / batches as f64, "", ""));
    }
    Ok(rows)
}
