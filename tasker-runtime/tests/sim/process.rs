//! A process: it starts, its worker runs, something befalls it, and it starts again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasker_runtime::engine::{Engine, HandlerThreads, Options, Parts};

use crate::event;
use crate::handler::registry;
use crate::life::{Being, Life};
use crate::sim::Sim;
use crate::store::Way;
use crate::world::{Blow, BlowKind};

/// How long a process is gone that its own handler killed, or whose worker could not start.
const RESTART: Duration = Duration::from_millis(300);

/// A place where one process runs after the other.
pub(crate) struct Process {
    sim: Arc<Sim>,
    number: usize,
    /// The engine that can be asked, while there is one.
    engine: Mutex<Option<(Arc<Life>, Engine)>>,
}

impl Process {
    pub(crate) fn new(sim: Arc<Sim>, number: usize) -> Self {
        Self { sim, number, engine: Mutex::new(None) }
    }

    pub(crate) fn engine(&self) -> Option<(Arc<Life>, Engine)> {
        self.engine.lock().unwrap().clone()
    }

    /// One life after the other.
    pub(crate) async fn live(&self) {
        let blows = self.sim.world.blows.clone();
        let mut blows = blows.into_iter().filter(|blow| blow.process == self.number).peekable();
        for number in 0.. {
            let life = Arc::new(Life::new(self.number, number));
            let gone = tokio::select! {
                biased;
                () = life.death() => RESTART,
                gone = self.one_life(&life, &mut blows) => gone,
            };
            life.become_(Being::Dead);
            *self.engine.lock().unwrap() = None;
            tokio::time::sleep(gone).await;
        }
    }

    /// Gives how long it is gone then.
    async fn one_life(
        &self,
        life: &Arc<Life>,
        blows: &mut std::iter::Peekable<impl Iterator<Item = Blow>>,
    ) -> Duration {
        let engine = self.start(life);
        self.sim.say(life, format_args!("starts"));
        if self.number < self.sim.world.workers
            && let Err(error) = engine.start_worker().await
        {
            self.sim.say(life, format_args!("cannot start: {error}"));
            return RESTART;
        }
        *self.engine.lock().unwrap() = Some((life.clone(), engine.clone()));
        loop {
            let at = |blow: &Blow| Duration::from_millis(blow.at_ms);
            // What would have befallen it while it was gone.
            while blows.next_if(|blow| at(blow) < self.sim.elapsed()).is_some() {}
            let Some(blow) = blows.next() else { return std::future::pending().await };
            tokio::time::sleep(at(&blow).saturating_sub(self.sim.elapsed())).await;
            let long = Duration::from_millis(blow.for_ms);
            match blow.kind {
                BlowKind::Crash => {
                    self.sim.say(life, format_args!("crashes"));
                    return long;
                }
                BlowKind::Freeze => {
                    self.sim.say(life, format_args!("freezes"));
                    life.become_(Being::Frozen);
                    tokio::time::sleep(long).await;
                    life.become_(Being::Up);
                    self.sim.say(life, format_args!("goes on"));
                }
                BlowKind::Stop => {
                    self.sim.say(life, format_args!("is stopped"));
                    *self.engine.lock().unwrap() = None;
                    // Who stops it does not wait for ever.
                    let patience = Duration::from_millis(self.sim.world.drain_ms) + Duration::from_secs(5);
                    let stopped = tokio::time::timeout(patience, engine.stop()).await;
                    self.sim.say(life, format_args!("stopped: {}", stopped.is_ok()));
                    return long;
                }
            }
        }
    }

    fn start(&self, life: &Arc<Life>) -> Engine {
        let world = &self.sim.world;
        Engine::start(Parts {
            store: Arc::new(Way::new(self.sim.clone(), life.clone())),
            registry: Arc::new(registry(&self.sim, life)),
            state: Arc::default(),
            layers: Arc::new([]),
            events: Arc::new(event::registry(&self.sim, life)),
            clock: self.sim.clock.clone(),
            ids: self.sim.ids.clone(),
            threads: HandlerThreads::shared(),
            options: Options {
                namespaces: None,
                slots: world.slots,
                cancel_grace: Duration::from_millis(world.grace_ms),
                drain: Duration::from_millis(world.drain_ms),
                poll: Duration::from_millis(world.poll_ms),
                wake_up: world.wake_up,
                retention: None,
                lease: world.lease_ms.map(Duration::from_millis),
                label: format!("p{}", self.number),
            },
        })
    }
}
