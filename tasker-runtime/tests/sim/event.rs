//! A subscriber to all events of a run: it fails now and then, and what it is given must come in the order of each task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tasker_runtime::core::{Dump, EventRow, StepRef};
use tasker_runtime::event::{EventRegistry, Subscriber};
use tasker_runtime::store::Store as _;
use tasker_types::{StepEvent, TaskId};

use crate::life::Life;
use crate::rng::Rng;
use crate::sim::{Failure, Sim};
use crate::store::short;

/// How often the subscriber fails on one event at most.
const FAILURES_MAX: u64 = 4;

/// Which event it is: a step publishes one of a name for each attempt.
type Key = (StepRef, u32, String);

/// What the subscriber knows of the events that it was given.
#[derive(Default)]
pub(crate) struct Given {
    /// How often it was given each.
    times: BTreeMap<Key, u64>,
    taken: BTreeSet<Key>,
}

impl Given {
    /// It is given an event: the earlier ones of the same task were taken.
    fn begin(&mut self, key: &Key, rows: &Dump) -> Result<u64, Failure> {
        let of_task = || rows.events.iter().filter(|row| row.task == key.0.task).filter_map(key_of);
        if !of_task().any(|stored| stored == *key) {
            return Err(Failure::new("an event of nobody", format!("{key:?}")));
        }
        if let Some(missing) = of_task().take_while(|earlier| earlier != key).find(|one| !self.taken.contains(one)) {
            return Err(Failure::new("an event before an earlier one", format!("{key:?} before {missing:?}")));
        }
        let times = self.times.entry(key.clone()).or_default();
        *times += 1;
        Ok(*times)
    }
}

fn key_of(row: &EventRow) -> Option<Key> {
    Some((StepRef { task: row.task, number: row.number? }, row.attempt, row.name.to_string()))
}

pub(crate) fn registry(sim: &Arc<Sim>, life: &Arc<Life>) -> EventRegistry {
    let mut registry = EventRegistry::default();
    let Some(trouble) = sim.world.events else { return registry };
    let (sim, life) = (sim.clone(), life.clone());
    let mut subscriber =
        Subscriber::new("all", "*", move |event: StepEvent| give(sim.clone(), life.clone(), event, trouble));
    // What is stored before the first worker could write it down is due to it too.
    subscriber.from_oldest = true;
    registry.add_subscriber(subscriber);
    registry
}

async fn give(sim: Arc<Sim>, life: Arc<Life>, event: StepEvent, trouble: u64) -> anyhow::Result<()> {
    life.moves().await;
    let (task, number) = TaskId::of_step(event.context.step_uuid.parse()?).unwrap();
    let (step, position) = (StepRef { task, number }, u64::try_from(event.position.unwrap())?);
    let key = (step, event.attempt, event.name);
    let begun = {
        let state = &mut *sim.state();
        state.given.begin(&key, &state.rows)
    };
    let times = match begun {
        Ok(times) => times,
        Err(failure) => {
            sim.fail(failure);
            return Ok(());
        }
    };
    let rng = &mut Rng::at(sim.world.seed, &[6, position, times]);
    tokio::time::sleep(Duration::from_millis(rng.pick(&[0, 0, 1, 50]))).await;
    life.moves().await;
    let name = format!("event t{}/{}#{} {}", short(task), number, key.1, key.2);
    if times <= FAILURES_MAX && rng.chance(trouble) {
        sim.say(&life, format_args!("{name}: the subscriber fails"));
        anyhow::bail!("bad weather");
    }
    sim.say(&life, format_args!("{name}: taken"));
    sim.state().given.taken.insert(key);
    Ok(())
}

/// How many stored events were not taken yet. One that is not due any more and was not taken is lost.
pub(crate) async fn missing(sim: &Arc<Sim>) -> usize {
    if sim.world.events.is_none() {
        return 0;
    }
    let subscribers = sim.store.subscribers().await.unwrap();
    let due = subscribers.iter().map(|subscriber| subscriber.undelivered).sum::<u64>();
    let missing: Vec<Key> = {
        let state = sim.state();
        state.rows.events.iter().filter_map(key_of).filter(|key| !state.given.taken.contains(key)).collect()
    };
    if u64::try_from(missing.len()).unwrap() > due && !subscribers.is_empty() {
        sim.fail(Failure::new("an event is lost", format!("{:?}, of which {due} are due", missing.first())));
    }
    missing.len()
}
