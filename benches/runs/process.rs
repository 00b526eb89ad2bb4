//! What is measured in processes of their own: memory, the start, two workers instead of one.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasker_runtime::engine::Options;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::MockHandler;

use crate::database::{Database, Kind, Opened, Running};
use crate::machine::{self, median};
use crate::report::{Row, row};
use crate::workload::{chain, keep_in_flight, nothing, request};

/// Tells a child where its database is: arguments can be seen by everybody, and a URL has a password.
const ADDRESS: &str = "TASKER_BENCH_ADDRESS";
/// What one CPU-bound handler computes: about 10 ms of a core.
const ROUNDS: u64 = 10_000_000;
/// Slots of a worker whose handlers need a core: few, so that two workers share what there is.
const BUSY_SLOTS: usize = 16;

/// How often the one who waits for other processes looks: seldom enough to cost next to nothing.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Which child this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Prints a line when its first step runs.
    FirstStep,
    /// Prints what its memory is made of.
    Memory,
    /// Runs steps that need a core until its input is closed.
    Worker,
}

impl Role {
    const ALL: [(Self, &str); 3] =
        [(Self::FirstStep, "--first-step"), (Self::Memory, "--memory"), (Self::Worker, "--worker")];

    pub(crate) fn of_argument(argument: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == argument).map(|(role, _)| role)
    }

    fn command(self, database: &Database) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        let name = Self::ALL.into_iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name);
        command.arg(name).env(ADDRESS, &database.address).stdout(Stdio::piped());
        Ok(command)
    }

    pub(crate) fn play(self, quick: bool) -> anyhow::Result<()> {
        let address = std::env::var(ADDRESS)?;
        let kind = if address.starts_with("postgres://") { Kind::Postgres } else { Kind::Sqlite };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(async {
            let opened = Opened::at(kind, &address).await?;
            match self {
                Self::FirstStep => first_step(opened).await,
                Self::Memory => memory_of_this_process(opened, if quick { 2_000 } else { 20_000 }).await,
                Self::Worker => work(opened).await,
            }
        })
    }
}

/// Memory is measured in a process that has done nothing else: what other rows leave behind in the allocator is theirs.
pub(crate) async fn memory(kind: Kind, quick: bool) -> anyhow::Result<Vec<Row>> {
    let database = Database::create(kind).await?;
    let mut command = Role::Memory.command(&database)?;
    let child = command.args(quick.then_some("--quick")).stderr(Stdio::inherit()).output()?;
    database.remove().await?;
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

/// More tasks than any store keeps in mind.
const KEPT_IN_MIND: usize = 40_000;

async fn memory_of_this_process(opened: Opened, steps: usize) -> anyhow::Result<()> {
    let mut registry = nothing();
    registry.register("sleepy", || Box::new(Sleepy));
    let sleepy = "name: sleepy\nsteps: [{ name: sleep, handler: sleepy }]\n".to_owned();
    let options = Options { slots: steps, ..Options::default() };
    let running = Running::start(opened, &[sleepy, chain(1)], registry, options).await?;
    let engine = &running.engine;
    // Warm: the allocator, the statements and the caches are what they will stay.
    keep_in_flight(engine, "chain_1", 2_000, 256).await?;
    let idle = machine::resident();
    submit_all(engine, steps).await?;
    while engine.store().counts().await?.running_steps < steps as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let running = machine::resident();
    // What is kept in mind of tasks that wait is bounded: first that is filled.
    submit_all(engine, KEPT_IN_MIND).await?;
    let filled = machine::resident();
    submit_all(engine, KEPT_IN_MIND).await?;
    let waiting = machine::resident();
    let each = |more: u64, of: usize| more as f64 / of as f64;
    println!(
        "{} {} {}",
        idle as f64 / 1048576.0,
        each(running.saturating_sub(idle), steps),
        each(waiting.saturating_sub(filled), KEPT_IN_MIND)
    );
    Ok(())
}

async fn submit_all(engine: &tasker_runtime::engine::Engine, tasks: usize) -> anyhow::Result<()> {
    for _ in 0..tasks {
        engine.submit(request("sleepy")).await?;
    }
    Ok(())
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
pub(crate) async fn start_up(kind: Kind, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let database = Database::create(kind).await?;
    let mut times = Vec::new();
    for round in 0..=rounds {
        let began = Instant::now();
        let mut child = Role::FirstStep.command(&database)?.spawn()?;
        expect_line(&mut child, "running")?;
        let took = began.elapsed();
        anyhow::ensure!(child.wait()?.success(), "the child failed");
        // The first round makes and migrates the database.
        if round > 0 {
            times.push(took);
        }
    }
    database.remove().await?;
    let took = median(&mut times).as_secs_f64() * 1e3;
    Ok(vec![row(8, "start of the process to its first step", took, "ms", kind.of("40", "100"))])
}

fn expect_line(child: &mut Child, expected: &str) -> anyhow::Result<()> {
    let out = child.stdout.take().ok_or_else(|| anyhow::anyhow!("the child has no output"))?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    anyhow::ensure!(line.trim() == expected, "the child said {line:?}");
    Ok(())
}

async fn first_step(opened: Opened) -> anyhow::Result<()> {
    let mut registry = RustStepHandlerRegistry::empty();
    let says = |_: &_| {
        println!("running");
        Ok(Value::Null)
    };
    registry.register("nothing", move || Box::new(MockHandler::new("nothing".into(), Arc::new(says))));
    let running = Running::start(opened, &[chain(1)], registry, Options::default()).await?;
    running.engine.run(request("chain_1")).await?;
    running.stop().await
}

/// Handlers that need a core, run by one worker and by two.
pub(crate) async fn two_workers(tasks: usize) -> anyhow::Result<Vec<Row>> {
    let (one, _) = with_workers(1, tasks).await?;
    let (two, idle) = with_workers(2, tasks).await?;
    let limit = 2.0 * spin_on_threads(1).as_secs_f64() / spin_on_threads(2).as_secs_f64();
    Ok(vec![
        row(10, "CPU-bound steps, one worker", one, "steps/s", ""),
        row(10, "CPU-bound steps, two workers", two, "steps/s", ""),
        row(10, "two workers instead of one", two / one, "times", "1.8 or the machine's limit"),
        row(10, "processors idle beside two workers", idle, "%", ""),
        row(10, "the machine's limit: two bare threads instead of one", limit, "times", ""),
    ])
}

/// Steps a second, and which share of the processors had nothing to do meanwhile.
async fn with_workers(workers: usize, tasks: usize) -> anyhow::Result<(f64, f64)> {
    let database = Database::create(Kind::Postgres).await?;
    let mut children: Vec<(Child, Option<ChildStdin>)> = Vec::new();
    for _ in 0..workers {
        let mut child = Role::Worker.command(&database)?.stdin(Stdio::piped()).spawn()?;
        expect_line(&mut child, "ready")?;
        let input = child.stdin.take();
        children.push((child, input));
    }
    // This process only submits and looks.
    let running =
        Running::without_worker(database.open().await?, RustStepHandlerRegistry::empty(), Options::default())?;
    let (began, before) = (Instant::now(), machine::idle_time());
    let mut clients = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        let engine = running.engine.clone();
        clients.push(tokio::spawn(async move { engine.submit(request("busy")).await }));
    }
    for client in clients {
        client.await??;
    }
    while running.engine.store().counts().await?.open_tasks > 0 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = began.elapsed().as_secs_f64();
    let cores = std::thread::available_parallelism()?.get();
    let idle = 100.0 * (machine::idle_time() - before).as_secs_f64() / (took * cores as f64);
    running.stop().await?;
    for (mut child, input) in children {
        drop(input);
        anyhow::ensure!(child.wait()?.success(), "a worker failed");
    }
    database.remove().await?;
    Ok((tasks as f64 / took, idle))
}

/// Runs steps until the input is closed.
async fn work(opened: Opened) -> anyhow::Result<()> {
    let mut registry = RustStepHandlerRegistry::empty();
    let busy = |_: &_| Ok(json!(spin()));
    registry.register("busy", move || Box::new(MockHandler::new("busy".into(), Arc::new(busy))));
    let template = "name: busy\nsteps: [{ name: compute, handler: busy }]\n".to_owned();
    let options = Options { slots: BUSY_SLOTS, ..Options::default() };
    let running = Running::start(opened, &[template], registry, options).await?;
    println!("ready");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    running.stop().await
}

/// A computation that no compiler sees through.
fn spin() -> u64 {
    (0..ROUNDS).fold(1u64, |state, round| std::hint::black_box(state.rotate_left(5) ^ round).wrapping_mul(0x9e37_79b9))
}

/// Every thread computes as much as the others.
fn spin_on_threads(threads: usize) -> Duration {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..40).map(|_| spin()).fold(0u64, u64::wrapping_add));
        }
    });
    began.elapsed()
}
