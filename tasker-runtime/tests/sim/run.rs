//! One run: from the seed of a world to the end of all its tasks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tasker_runtime::store::Store as _;
use tasker_types::TaskState;
use tokio::task::JoinSet;

use crate::client;
use crate::process::Process;
use crate::sim::{Failure, Sim};
use crate::store::short;
use crate::world::{Task, World};

/// Once faults have ended, every task ends within this time.
const END_MAX: Duration = Duration::from_secs(1_200);

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) failure: Option<Failure>,
    /// The calls that faults befell.
    pub(crate) hit: BTreeSet<u64>,
    /// Every event, where that was asked for.
    pub(crate) text: String,
    pub(crate) seconds: u64,
}

pub(crate) fn run(world: World, readable: bool) -> Outcome {
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
    let seconds = runtime.block_on(async { sim.elapsed().as_secs() });
    // What still runs holds parts of the history.
    drop(runtime);
    let mut state = sim.state();
    let (failure, hit) = (state.failure.take(), std::mem::take(&mut state.hit));
    let trace = std::mem::replace(&mut state.trace, crate::trace::Trace::new(false));
    Outcome { hash: trace.hash(), failure, hit, text: trace.into_text(), seconds }
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
    come_to_an_end(sim, calm, &mut clients).await;
    // A worker that is well takes on what comes now.
    let last = Task { n: 1_000, at_ms: 0, template: 0, priority: 0, by: 0, patience_ms: 60_000 };
    clients.spawn(client::submit(sim.clone(), processes[0].clone(), last));
    come_to_an_end(sim, calm, &mut clients).await;
}

/// Waits until all clients have their answers and all tasks are over.
async fn come_to_an_end(sim: &Sim, calm: Duration, clients: &mut JoinSet<()>) {
    loop {
        while let Some(joined) = clients.try_join_next() {
            joined.unwrap();
        }
        let open = open_tasks(sim);
        if open.is_empty() && clients.is_empty() {
            return;
        }
        if sim.elapsed() > calm + END_MAX {
            let what = format!("open are {}, {} clients wait", open.join(", "), clients.len());
            return sim.fail(Failure::new("liveness", what));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn open_tasks(sim: &Sim) -> Vec<String> {
    let state = sim.state();
    let cancelled = |row: &tasker_runtime::core::TaskRow| {
        state.rows.actions.iter().any(|action| action.task == row.id && action.kind == "cancel")
            && row.state != TaskState::Cancelled
    };
    let open = state.rows.tasks.iter().filter(|row| !row.state.is_over() || cancelled(row));
    open.map(|row| format!("t{}, {}", short(row.id), row.state)).collect()
}
