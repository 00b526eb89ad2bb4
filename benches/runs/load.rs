//! The engine under load, on SQLite, with handlers that do nothing.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasker_runtime::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::MemoryStore;
use tasker_runtime::store::sqlite::{Durability, SqliteStore};
use tasker_runtime::testing::MockHandler;
use tasker_types::{TaskRequest, TaskState, template};

use crate::machine::{self, median};
use crate::report::{Row, row};

const IN_FLIGHT: usize = 256;

/// An engine with its worker, on a file of its own.
struct Bench {
    engine: Engine,
    store: Arc<SqliteStore>,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn start(templates: &[String], registry: RustStepHandlerRegistry, options: Options) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(machine::place())?;
        let (engine, store) = open(&directory.path().join("bench.db"), templates, registry, options).await?;
        Ok(Self { engine, store, _directory: directory })
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.engine.stop().await;
        Ok(self.store.close().await?)
    }
}

async fn open(
    path: &Path,
    templates: &[String],
    registry: RustStepHandlerRegistry,
    options: Options,
) -> anyhow::Result<(Engine, Arc<SqliteStore>)> {
    let store = Arc::new(SqliteStore::open(path, Durability::Full).await?);
    let engine = Engine::start(Parts {
        store: store.clone(),
        registry: Arc::new(registry),
        state: Arc::default(),
        layers: Arc::new([]),
        clock: Clock::System,
        ids: Ids::default(),
        threads: HandlerThreads::own(1)?,
        options,
    });
    for text in templates {
        let parsed = template::parse("bench.yaml", text).map_err(|findings| anyhow::anyhow!("{findings}"))?;
        engine.add_template(parsed.template).await?;
    }
    engine.start_worker().await?;
    Ok((engine, store))
}

/// A handler that does nothing and returns 64 bytes.
fn nothing() -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::empty();
    let value = json!("y".repeat(62));
    registry.register("nothing", move || {
        let value = value.clone();
        Box::new(MockHandler::new("nothing".into(), Arc::new(move |_| Ok(value.clone()))))
    });
    registry
}

fn chain(length: usize) -> String {
    let mut yaml = format!("name: chain_{length}\nsteps:\n");
    for number in 0..length {
        let after = if number == 0 { String::new() } else { format!(", dependencies: [step_{}]", number - 1) };
        yaml.push_str(&format!("  - {{ name: step_{number}, handler: nothing{after} }}\n"));
    }
    yaml
}

fn fan_out(width: usize) -> String {
    let leaves: Vec<String> = (0..width).map(|number| format!("leaf_{number}")).collect();
    let steps: String =
        leaves.iter().map(|leaf| format!("  - {{ name: {leaf}, handler: nothing, dependencies: [root] }}\n")).collect();
    format!(
        "name: fan_{width}\nsteps:\n  - {{ name: root, handler: nothing }}\n{steps}  - {{ name: join, handler: nothing, dependencies: [{}] }}\n",
        leaves.join(", ")
    )
}

/// A context of 256 bytes.
fn request(name: &str) -> TaskRequest {
    TaskRequest {
        name: name.to_owned(),
        context: json!({ "payload": "x".repeat(240) }),
        initiator: "bench".to_owned(),
        ..TaskRequest::default()
    }
}

/// Keeps `in_flight` tasks going until `tasks` have ended.
async fn keep_in_flight(engine: &Engine, name: &str, tasks: usize, in_flight: usize) -> anyhow::Result<Duration> {
    let left = Arc::new(AtomicUsize::new(tasks));
    let began = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..in_flight {
        let (engine, left, name) = (engine.clone(), left.clone(), name.to_owned());
        clients.push(tokio::spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let state = engine.run(request(&name)).await?.1;
                anyhow::ensure!(state == TaskState::Completed, "a task is {state}");
            }
            Ok(())
        }));
    }
    for client in clients {
        client.await??;
    }
    Ok(began.elapsed())
}

pub(crate) async fn single_steps(tasks: usize) -> anyhow::Result<Vec<Row>> {
    let bench = Bench::start(&[chain(1)], nothing(), Options { slots: 1_000, ..Options::default() }).await?;
    let took = keep_in_flight(&bench.engine, "chain_1", tasks, 1_000).await?;
    bench.stop().await?;
    Ok(vec![row(
        0,
        "1-step tasks, 1,000 in flight",
        tasks as f64 / took.as_secs_f64(),
        "tasks/s",
        "must 30,000, goal 70,000",
    )])
}

pub(crate) async fn chains(tasks: usize) -> anyhow::Result<Vec<Row>> {
    let bench = Bench::start(&[chain(4)], nothing(), Options { slots: IN_FLIGHT, ..Options::default() }).await?;
    let took = keep_in_flight(&bench.engine, "chain_4", tasks, IN_FLIGHT).await?;
    bench.stop().await?;
    Ok(vec![row(
        1,
        "4-step chains, 256 in flight",
        tasks as f64 * 4.0 / took.as_secs_f64(),
        "steps/s",
        "must 40,000, goal 80,000",
    )])
}

/// The same without a database: what the engine itself can do.
pub(crate) async fn chains_in_memory(tasks: usize) -> anyhow::Result<Vec<Row>> {
    let engine = Engine::start(Parts {
        store: Arc::new(MemoryStore::new()),
        registry: Arc::new(nothing()),
        state: Arc::default(),
        layers: Arc::new([]),
        clock: Clock::System,
        ids: Ids::default(),
        threads: HandlerThreads::own(1)?,
        options: Options { slots: IN_FLIGHT, ..Options::default() },
    });
    let parsed = template::parse("bench.yaml", &chain(4)).map_err(|findings| anyhow::anyhow!("{findings}"))?;
    engine.add_template(parsed.template).await?;
    engine.start_worker().await?;
    let took = keep_in_flight(&engine, "chain_4", tasks, IN_FLIGHT).await?;
    engine.stop().await;
    Ok(vec![row(1, "the same in memory", tasks as f64 * 4.0 / took.as_secs_f64(), "steps/s", "")])
}

pub(crate) async fn idle_latency(tasks: usize) -> anyhow::Result<Vec<Row>> {
    let bench = Bench::start(&[chain(4)], nothing(), Options::default()).await?;
    let mut times = Vec::new();
    let before = bench.engine.stats();
    for _ in 0..tasks {
        let began = Instant::now();
        bench.engine.run(request("chain_4")).await?;
        times.push(began.elapsed());
    }
    let after = bench.engine.stats();
    bench.stop().await?;
    let commits = (after.transactions - before.transactions) as f64 / tasks as f64;
    let p50 = median(&mut times);
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    Ok(vec![
        row(2, "one 4-step task, idle: p50", p50.as_secs_f64() * 1e3, "ms", "5 F + 1 ms"),
        row(2, "one 4-step task, idle: p99", p99.as_secs_f64() * 1e3, "ms", ""),
        row(2, "one 4-step task, idle: commits", commits, "commits", "at most 5"),
    ])
}

pub(crate) async fn fan_outs(widths: &[usize]) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &width in widths {
        let bench = Bench::start(&[fan_out(width)], nothing(), Options::default()).await?;
        let began = Instant::now();
        let (_, state) = bench.engine.run(request(&format!("fan_{width}"))).await?;
        anyhow::ensure!(state == TaskState::Completed, "the task is {state}");
        let took = began.elapsed();
        bench.stop().await?;
        let target = if width == 1_000 { "100 ms" } else { "1,500 ms" };
        rows.push(row(3, format!("fan-out 1 x {width} x 1"), took.as_secs_f64() * 1e3, "ms", target));
    }
    Ok(rows)
}

pub(crate) async fn transactions(tasks: usize) -> anyhow::Result<Vec<Row>> {
    let bench = Bench::start(&[chain(4)], nothing(), Options { slots: IN_FLIGHT, ..Options::default() }).await?;
    let before = bench.engine.stats();
    keep_in_flight(&bench.engine, "chain_4", tasks, IN_FLIGHT).await?;
    let loaded = bench.engine.stats();
    bench.engine.run(request("chain_4")).await?;
    let idle = bench.engine.stats();
    bench.stop().await?;
    Ok(vec![
        row(
            5,
            "transactions a step, loaded",
            (loaded.transactions - before.transactions) as f64 / (tasks as f64 * 4.0),
            "",
            "0.05",
        ),
        row(5, "transactions a step, idle", (idle.transactions - loaded.transactions) as f64 / 4.0, "", "1.25"),
    ])
}

/// Memory is measured in a process that has done nothing else: what other rows leave behind in the allocator is theirs.
pub(crate) fn memory() -> anyhow::Result<Vec<Row>> {
    let child = Command::new(std::env::current_exe()?).arg("--memory").stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(child.status.success(), "the child failed");
    let told = String::from_utf8(child.stdout)?;
    let figures = told.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let [idle, running, waiting] = figures[..] else { anyhow::bail!("the child said {told:?}") };
    Ok(vec![
        row(7, "memory of an idle process", idle, "MiB", "30"),
        row(7, "memory of a running step", running, "bytes", "4,096"),
        row(7, "memory of a waiting task", waiting, "bytes", "0"),
    ])
}

/// What the child of [`memory`] does.
pub(crate) fn memory_of_this_process(steps: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut registry = nothing();
        registry.register("sleepy", || Box::new(Sleepy));
        let sleepy = "name: sleepy\nsteps: [{ name: sleep, handler: sleepy }]\n".to_owned();
        let options = Options { slots: steps, ..Options::default() };
        let bench = Bench::start(&[sleepy, chain(1)], registry, options).await?;
        // Warm: the allocator, the statements and the caches are what they will stay.
        keep_in_flight(&bench.engine, "chain_1", 2_000, 256).await?;
        let idle = machine::resident();
        for _ in 0..steps {
            bench.engine.submit(request("sleepy")).await?;
        }
        while bench.engine.store().counts().await?.running_steps < steps as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let running = machine::resident();
        for _ in 0..steps {
            bench.engine.submit(request("sleepy")).await?;
        }
        let waiting = machine::resident();
        let each = |more: u64| more as f64 / steps as f64;
        println!(
            "{} {} {}",
            idle as f64 / 1048576.0,
            each(running.saturating_sub(idle)),
            each(waiting.saturating_sub(running))
        );
        Ok(())
    })
}

struct Sleepy;

#[async_trait::async_trait]
impl tasker_runtime::handler::RustStepHandler for Sleepy {
    fn new(_: tasker_runtime::handler::StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "sleepy"
    }

    async fn call(&self, step: &tasker_types::TaskSequenceStep) -> anyhow::Result<tasker_types::StepExecutionResult> {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok(tasker_types::StepExecutionResult::success(step.workflow_step.workflow_step_uuid, Value::Null, None))
    }
}

/// From the start of a process to the moment at which its first step runs, on a database that was used before.
pub(crate) fn start_up(rounds: usize) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir_in(machine::place())?;
    let path = directory.path().join("bench.db");
    let mut times = Vec::new();
    for round in 0..=rounds {
        let began = Instant::now();
        let mut child =
            Command::new(std::env::current_exe()?).arg("--first-step").arg(&path).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or_else(|| anyhow::anyhow!("the child has no output"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let took = began.elapsed();
        anyhow::ensure!(line.trim() == "running", "the child said {line:?}");
        anyhow::ensure!(child.wait()?.success(), "the child failed");
        // The first round makes and migrates the database.
        if round > 0 {
            times.push(took);
        }
    }
    Ok(vec![row(8, "start of the process to its first step", median(&mut times).as_secs_f64() * 1e3, "ms", "40")])
}

/// What the child of [`start_up`] does.
pub(crate) fn first_step(path: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut registry = RustStepHandlerRegistry::empty();
        registry.register("nothing", || {
            Box::new(MockHandler::new(
                "nothing".into(),
                Arc::new(|_| {
                    println!("running");
                    Ok(Value::Null)
                }),
            ))
        });
        let (engine, store) = open(Path::new(path), &[chain(1)], registry, Options::default()).await?;
        engine.run(request("chain_1")).await?;
        engine.stop().await;
        Ok(store.close().await?)
    })
}

pub(crate) async fn idle_cost(duration: Duration) -> anyhow::Result<Vec<Row>> {
    let bench = Bench::start(&[chain(4)], nothing(), Options::default()).await?;
    bench.engine.run(request("chain_4")).await?;
    let before = machine::processor_time();
    tokio::time::sleep(duration).await;
    let used = machine::processor_time() - before;
    bench.stop().await?;
    Ok(vec![row(9, "idle: share of a core", 100.0 * used.as_secs_f64() / duration.as_secs_f64(), "%", "0.2")])
}
