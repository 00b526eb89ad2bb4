//! What a long backlog costs: claims and throughput with few rows and with many, of every kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tasker_runtime::core::{Batch, Command, Pinned, StepRef};
use tasker_runtime::engine::{Clock, Options};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::{ClaimRequest, LeaseAct, LeaseRequest, Store};
use tasker_runtime::testing::MockHandler;
use tasker_types::{Timestamp, WorkerId};
use uuid::Uuid;

use crate::database::{Database, Kind, Running, connect, run};
use crate::load::IN_FLIGHT;
use crate::machine::median;
use crate::report::{Row, row};

/// Steps of one claim.
const CLAIM: u32 = 100;
/// Claims that are timed in a round.
const CLAIMS: usize = 20;
/// Steps that are run before a rate is taken, and those over which it is.
const WARM: usize = 1_000;
const RUN: usize = 6_000;

/// What a row of the backlog waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Ready,
    Scheduled,
    Finished,
}

/// A database in which tasks of one step wait that nobody submitted: they were written by a few large statements.
pub(crate) struct Backlog {
    pub(crate) database: Database,
    pub(crate) pinned: Arc<Pinned>,
    ready: usize,
}

impl Backlog {
    pub(crate) async fn new(kind: Kind, template: &str) -> anyhow::Result<Self> {
        let database = Database::create(kind).await?;
        let mut registry = RustStepHandlerRegistry::empty();
        registry.register("nothing", || Box::new(MockHandler::new("nothing".into(), Arc::new(|_| Ok(json!(1))))));
        let running = Running::without_worker(database.open().await?, registry, Options::default())?;
        let pinned = running.add(template).await?;
        running.stop().await?;
        Ok(Self { database, pinned, ready: 0 })
    }

    /// So many more tasks, each with its one step.
    pub(crate) async fn add(&mut self, of: Of, count: usize) -> anyhow::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let first = if of == Of::Ready { self.ready } else { 0 };
        self.ready += if of == Of::Ready { count } else { 0 };
        let numbers = (first + 1, first + count);
        let texts = statements(self.database.kind, of, &self.pinned, numbers);
        let now = Clock::System.now().as_micros();
        let texts: Vec<String> = texts.iter().map(|text| text.replace("NOW", &now.to_string())).collect();
        let whole = format!("BEGIN; {}; COMMIT", texts.join("; "));
        if self.database.kind == Kind::Postgres {
            let connection = &mut connect(&self.database.address).await?;
            run(connection, &whole).await?;
        } else {
            rusqlite::Connection::open(&self.database.address)?.execute_batch(&whole)?;
        }
        Ok(())
    }

    /// What a server does by itself in a quiet moment.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        if self.database.kind == Kind::Postgres {
            let connection = &mut connect(&self.database.address).await?;
            run(connection, "VACUUM (ANALYZE)").await?;
            run(connection, "CHECKPOINT").await?;
        }
        Ok(())
    }
}

/// The statements that write tasks `first..=last` of this kind.
fn statements(kind: Kind, of: Of, pinned: &Pinned, (first, last): (usize, usize)) -> Vec<String> {
    let (from, prefix) = match of {
        Of::Ready => ("r", 0x0100_0000_0000_u64),
        Of::Scheduled => ("s", 0x0080_0000_0000),
        Of::Finished => ("f", 0x00f0_0000_0000),
    };
    let (template, queue) = (pinned.id.0, pinned.steps[0].queue.0);
    // A UUIDv7's layout: 48 bits that grow, and here nothing random.
    let tail = "70008000000000000000";
    let (series, id, schema, yes, no, uuid) = match kind {
        Kind::Postgres => (
            format!("generate_series({first}, {last}) AS {from} (n)"),
            format!("(lpad(to_hex({prefix} + n), 12, '0') || '{tail}')::uuid"),
            "tasker.",
            "true",
            "false",
            "'019a0000-0000-7000-8000-0000000000ff'::uuid",
        ),
        _ => (
            format!(
                "(WITH RECURSIVE v (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM v WHERE n < {last}) SELECT n FROM v) AS {from}"
            ),
            format!("unhex(printf('%012x', {prefix} + n) || '{tail}')"),
            "",
            "1",
            "0",
            "x'019a00000000700080000000000000ff'",
        ),
    };
    let context = format!("'{{\"payload\":\"{}\"}}'", "x".repeat(240));
    // Ready since an hour, one microsecond after the other; due in ten days.
    let (at, due) = ("NOW - 3600000000 + n", "NOW + 864000000000 + n");
    let task = match of {
        Of::Ready => format!("0, 1, 1, 0, {at}, NULL, NULL"),
        Of::Scheduled => format!("1, 1, 1, 0, {at}, {at}, NULL"),
        Of::Finished => format!("3, 0, 0, 0, {at}, {at}, {at}"),
    };
    let step = match of {
        Of::Ready => format!("live_steps SELECT {id}, 0, 1, 0, 0, 0, 0, {yes}, {queue}, 0, {at}, {no}, NULL, NULL"),
        Of::Scheduled => {
            format!("live_steps SELECT {id}, 0, 3, 1, 1, 0, 0, {yes}, {queue}, 0, {due}, {no}, NULL, NULL")
        }
        Of::Finished => {
            format!("step_results SELECT {id}, 0, 4, 0, 1, {uuid}, {at}, {at}, {at}, '\"{}\"', NULL", "y".repeat(62))
        }
    };
    vec![
        format!("INSERT INTO {schema}tasks SELECT {id}, {template}, {task} FROM {series}"),
        format!("INSERT INTO {schema}task_inputs SELECT {id}, {context}, 'c', 'bench', '', '' FROM {series}"),
        format!("INSERT INTO {schema}{step} FROM {series}"),
    ]
}

/// A registry whose handler counts how often it was called.
pub(crate) fn counting(handler: &str, counter: &Arc<AtomicUsize>) -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::empty();
    let (value, counter, name): (_, _, Arc<str>) = (json!("y".repeat(62)), counter.clone(), handler.into());
    registry.register(handler, move || {
        let (value, counter) = (value.clone(), counter.clone());
        let call = move |_: &_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(value.clone())
        };
        Box::new(MockHandler::new(name.clone(), Arc::new(call)))
    });
    registry
}

/// Claims and rates at each of these sizes, in interleaved rounds.
pub(crate) async fn growth(kind: Kind, sizes: &[usize], rounds: usize) -> anyhow::Result<Vec<Row>> {
    let mut backlogs = Vec::new();
    for &size in sizes {
        let began = Instant::now();
        let mut backlog = Backlog::new(kind, "name: one\nsteps: [{ name: a, handler: nothing }]\n").await?;
        for of in [Of::Ready, Of::Finished, Of::Scheduled] {
            backlog.add(of, size).await?;
        }
        backlog.settle().await?;
        eprintln!("made {size} rows of each kind in {:.1} s", began.elapsed().as_secs_f64());
        backlogs.push((size, backlog));
    }
    let mut rows = Vec::new();
    for _ in 0..rounds {
        let mut round: Vec<(f64, f64)> = Vec::new();
        for (size, backlog) in &mut backlogs {
            let claim = claims(&backlog.database).await?.as_secs_f64() * 1e3;
            let (rate, ran) = drain(&backlog.database).await?;
            backlog.add(Of::Ready, ran).await?;
            rows.push(row(4, format!("claim of {CLAIM}, backlog of {size}"), claim, "ms", ""));
            rows.push(row(4, format!("throughput, backlog of {size}"), rate, "steps/s", ""));
            round.push((claim, rate));
        }
        if let ([(claim, rate), ..], [.., (claim_then, rate_then)]) = (&round[..], &round[..]) {
            rows.push(row(
                4,
                "a claim at the longest backlog, of one at the shortest",
                claim_then / claim,
                "times",
                "1.3",
            ));
            let falls = 100.0 * (1.0 - rate_then / rate);
            rows.push(row(4, "throughput lost at the longest backlog", falls, "%", "15"));
        }
    }
    for (_, backlog) in backlogs {
        backlog.database.remove().await?;
    }
    Ok(rows)
}

/// The median time of a claim. What was claimed is given back.
async fn claims(database: &Database) -> anyhow::Result<Duration> {
    let running =
        Running::without_worker(database.open().await?, RustStepHandlerRegistry::empty(), Options::default())?;
    let store = running.engine.store().clone();
    let now = || database.kind.of(Some(Clock::System.now()), None);
    let worker = WorkerId(Uuid::now_v7());
    let queues: Arc<[_]> = store.queues().await?.iter().map(|queue| queue.id).collect();
    let lease = Duration::from_secs(600);
    let begin =
        LeaseRequest { worker, act: LeaseAct::Begin, label: "bench".into(), queues: queues.clone(), lease, now: now() };
    store.lease(begin).await?;
    let (mut times, mut claimed) = (Vec::new(), Vec::new());
    for rotation in 0..=CLAIMS {
        let request = ClaimRequest { worker, queues: queues.clone(), limit: CLAIM, lossy: true, now: now(), rotation };
        let began = Instant::now();
        let claims = store.claim(request).await?.claimed;
        // The first one plans its statements.
        if rotation > 0 {
            times.push(began.elapsed());
        }
        anyhow::ensure!(claims.len() == CLAIM as usize, "a claim of {} steps", claims.len());
        claimed.extend(claims);
    }
    let release = |claimed: &tasker_runtime::core::Claimed| {
        let step = StepRef { task: claimed.task, number: claimed.live.number };
        Command::Release { step, attempt: claimed.live.attempt, worker }
    };
    let commands: Vec<Command> = claimed.iter().map(release).collect();
    for some in commands.chunks(256) {
        give_back(&*store, some.to_vec(), now()).await?;
    }
    store.lease(LeaseRequest { worker, act: LeaseAct::End, label: "bench".into(), queues, lease, now: now() }).await?;
    running.stop().await?;
    Ok(median(&mut times))
}

async fn give_back(store: &dyn Store, commands: Vec<Command>, now: Option<Timestamp>) -> anyhow::Result<()> {
    store.transact(Batch { commands: commands.into(), capacity: None, now }).await?;
    Ok(())
}

/// Steps a second of a worker that begins where a backlog waits, and how many it ran.
async fn drain(database: &Database) -> anyhow::Result<(f64, usize)> {
    let counter = Arc::new(AtomicUsize::new(0));
    let options = Options { slots: IN_FLIGHT, ..Options::default() };
    let running = Running::start(database.open().await?, &[], counting("nothing", &counter), options).await?;
    until(&counter, WARM).await;
    let (began, first) = (Instant::now(), counter.load(Ordering::Relaxed));
    until(&counter, first + RUN).await;
    let (took, ran) = (began.elapsed(), counter.load(Ordering::Relaxed) - first);
    running.stop().await?;
    Ok((ran as f64 / took.as_secs_f64(), counter.load(Ordering::Relaxed)))
}

/// Waits until so many steps were run.
pub(crate) async fn until(counter: &AtomicUsize, count: usize) {
    while counter.load(Ordering::Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
