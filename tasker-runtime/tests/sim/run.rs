//! One run: from the seed of a world to the end of all its tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tasker_runtime::core::{LiveStep, TaskRow};
use tasker_runtime::pace::set_minute;
use tasker_runtime::store::Store as _;
use tasker_types::{StepState, TaskId, TaskState, Timestamp};
use tokio::task::JoinSet;

use crate::client;
use crate::event;
use crate::lifetime::over_at;
use crate::process::Process;
use crate::sim::{Failure, Sim};
use crate::store::short;
use crate::world::{Act, Task, What, World};

/// Once faults have ended, every task ends within this time.
const END_MAX: Duration = Duration::from_secs(1_200);
/// Once faults have ended, nothing waits longer than this for somebody who could do it at once.
const WAIT_MAX: Duration = Duration::from_secs(45);

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) failure: Option<Failure>,
    /// The calls that faults befell.
    pub(crate) hit: BTreeSet<u64>,
    /// Every event, where that was asked for.
    pub(crate) text: String,
}

pub(crate) fn run(world: World, readable: bool) -> Outcome {
    // Marks, planted bugs and this belong to a thread.
    set_minute(Duration::from_millis(world.minute_ms));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let sim = runtime.block_on(async {
        let sim = Sim::new(world, readable);
        tokio::select! {
            biased;
            () = sim.failure() => {}
            () = whole(&sim) => {}
        }
        sim
    });
    // What still runs holds parts of the history.
    drop(runtime);
    let mut state = sim.state();
    let (failure, hit) = (state.failure.take(), std::mem::take(&mut state.hit));
    let trace = std::mem::replace(&mut state.trace, crate::trace::Trace::new(false));
    Outcome { hash: trace.hash(), failure, hit, text: trace.into_text() }
}

async fn whole(sim: &Arc<Sim>) {
    for template in sim.world.resolved() {
        sim.store.pin(template, sim.clock.now()).await.unwrap();
    }
    let processes: Vec<Arc<Process>> =
        (0..sim.world.workers + sim.world.clients).map(|number| Arc::new(Process::new(sim.clone(), number))).collect();
    for process in &processes {
        let process = process.clone();
        tokio::spawn(async move { process.live().await });
    }
    let mut clients = JoinSet::new();
    for &task in &sim.world.tasks {
        clients.spawn(client::submit(sim.clone(), processes[task.by % processes.len()].clone(), task));
    }
    for &act in &sim.world.acts {
        clients.spawn(client::act(sim.clone(), processes[act.by % processes.len()].clone(), act));
    }
    tokio::time::sleep(Duration::from_millis(sim.world.calm_ms)).await;
    sim.calm_down();
    let calm = sim.elapsed();
    come_to_an_end(sim, calm, &processes, &mut clients).await;
    // A worker that is well takes on what comes now.
    let last = Task {
        n: 1_000,
        at_ms: 0,
        template: 0,
        priority: 0,
        by: 0,
        patience_ms: 60_000,
        key: None,
        delay_ms: 0,
        claim_timeout_seconds: None,
    };
    clients.spawn(client::submit(sim.clone(), processes[0].clone(), last));
    come_to_an_end(sim, calm, &processes, &mut clients).await;
}

/// Waits until all clients have their answers and all tasks are over.
async fn come_to_an_end(sim: &Arc<Sim>, calm: Duration, processes: &[Arc<Process>], clients: &mut JoinSet<()>) {
    let mut resumed: BTreeMap<TaskId, Duration> = BTreeMap::new();
    loop {
        resume_paused(sim, &mut resumed, processes, clients);
        while let Some(joined) = clients.try_join_next() {
            joined.unwrap();
        }
        let open = open_tasks(sim);
        let missing = event::missing(sim).await;
        if open.is_empty() && clients.is_empty() && missing == 0 {
            return;
        }
        if sim.elapsed() > calm + END_MAX {
            let what =
                format!("open are {}, {} clients wait, {missing} events are not taken", open.join(", "), clients.len());
            return sim.fail(Failure::new("liveness", what));
        }
        if let Some(what) = overdue(sim, calm) {
            return sim.fail(Failure::new("it waits too long", what));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// No task stays paused for ever: somebody lets it go on.
fn resume_paused(
    sim: &Arc<Sim>,
    resumed: &mut BTreeMap<TaskId, Duration>,
    processes: &[Arc<Process>],
    clients: &mut JoinSet<()>,
) {
    const AGAIN: Duration = Duration::from_secs(1);
    let now = sim.elapsed();
    let paused: Vec<(TaskId, u64)> = {
        let state = sim.state();
        let rows = state.rows.tasks.iter().filter(|row| row.state == TaskState::Paused);
        rows.filter_map(|row| Some((row.id, state.journal.request_of(row.id)?))).collect()
    };
    for (id, task) in paused {
        if resumed.get(&id).is_some_and(|asked| *asked + AGAIN > now) {
            continue;
        }
        let n = 10_000 + u64::try_from(now.as_millis()).unwrap() * 10_000_000 + task;
        resumed.insert(id, now);
        let act = Act { n, at_ms: 0, task, by: 0, what: What::Resume };
        clients.spawn(client::act(sim.clone(), processes[0].clone(), act));
    }
}

/// A step that nobody does anything about, though somebody could; a task that goes on though its time is over.
fn overdue(sim: &Sim, calm: Duration) -> Option<String> {
    let (state, now) = (sim.state(), sim.clock.now());
    let quiet = sim.elapsed().saturating_sub(calm);
    let live: Vec<_> = state.leases.iter().filter(|(_, until)| **until > now).map(|(worker, _)| *worker).collect();
    let busy = |worker| state.rows.live.iter().filter(|row| row.claimed_by == Some(worker)).count();
    let idle = live.iter().any(|&worker| busy(worker) < sim.world.slots);
    let lossy = state.rows.live.iter().any(|row| row.claimed_by.is_some() && row.losses > 0);
    let late = |row: &&LiveStep| {
        let long = |since: Timestamp| now.since(since).min(quiet) > WAIT_MAX;
        match (row.state, row.claimed_at) {
            _ if row.held => false,
            (StepState::Ready, _) => idle && !(lossy && row.losses > 0) && long(row.ready_at),
            (StepState::WaitingForRetry, _) => long(row.ready_at),
            (StepState::Running, Some(at)) => long(at),
            _ => false,
        }
    };
    let is_limitless = |row: &&TaskRow| {
        let at = over_at(&state.rows, &state.journal, row);
        let goes_on = matches!(row.state, TaskState::Pending | TaskState::Running);
        goes_on && at.is_some_and(|at| now.since(at).min(quiet) > WAIT_MAX)
    };
    if let Some(row) = state.rows.tasks.iter().find(is_limitless) {
        return Some(format!("t{} is {} though its time is over", short(row.id), row.state));
    }
    let row = state.rows.live.iter().find(late)?;
    Some(format!("t{}/{}#{} is {}", short(row.task), row.number, row.attempt, row.state))
}

fn open_tasks(sim: &Sim) -> Vec<String> {
    let state = sim.state();
    let cancelled = |row: &TaskRow| {
        state.rows.actions.iter().any(|action| action.task == row.id && action.kind == "cancel")
            && row.state != TaskState::Cancelled
    };
    let open = state.rows.tasks.iter().filter(|row| !row.state.is_over() || cancelled(row));
    open.map(|row| format!("t{}, {}", short(row.id), row.state)).collect()
}
