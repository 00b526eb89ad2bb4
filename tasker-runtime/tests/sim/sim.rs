//! What all processes of one run share: the rows, the time, the faults, and what is known of all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tasker_runtime::core::{Command, Dump, Refusal, Reply};
use tasker_runtime::engine::{Clock, Ids};
use tasker_runtime::store::{Hints, MemoryStore, Store as _};
use tasker_types::{StepState, Timestamp, WorkerId};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::event::Given;
use crate::journal::Journal;
use crate::life::Life;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::watch::Change;
use crate::world::World;

/// The virtual clock of every run begins here: 2030-01-01T00:00:00Z.
const BEGINNING: Timestamp = Timestamp::from_micros(1_893_456_000_000_000);

pub(crate) struct Sim {
    pub(crate) world: World,
    pub(crate) store: MemoryStore,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    began: Instant,
    hints: Vec<watch::Sender<Hints>>,
    state: Mutex<State>,
    failed: Notify,
}

pub(crate) struct State {
    pub(crate) trace: Trace,
    pub(crate) journal: Journal,
    /// The rows as the last call left them.
    pub(crate) rows: Dump,
    /// Until when each worker has a lease.
    pub(crate) leases: BTreeMap<WorkerId, Timestamp>,
    /// Which life of which process each worker is.
    lives: BTreeMap<WorkerId, (usize, u32)>,
    /// What the subscriber to all events was given.
    pub(crate) given: Given,
    pub(crate) failure: Option<Failure>,
    calls: u64,
    /// The calls that faults befell.
    pub(crate) hit: BTreeSet<u64>,
    /// How often each process has written.
    writes: Vec<i64>,
    calm: bool,
}

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Which rule was broken: what stays the same when the world is made smaller.
    pub(crate) rule: String,
    pub(crate) what: String,
}

impl Failure {
    pub(crate) fn new(rule: impl Into<String>, what: impl Into<String>) -> Self {
        Self { rule: rule.into(), what: what.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// What befalls a call of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) before_ms: u64,
    pub(crate) after_ms: u64,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    None,
    /// It fails before it does anything.
    Failed,
    /// The database lets nobody in, or cannot be written, until somebody has put it right.
    Shut,
    /// The connection is lost at its commit, which comes to nothing.
    UnknownBefore,
    /// The connection is lost at its commit, which is written.
    UnknownAfter,
    /// A wake-up that does not come.
    Stale,
}

impl Sim {
    pub(crate) fn new(world: World, readable: bool) -> Arc<Self> {
        let processes = world.workers + world.clients;
        Arc::new(Self {
            world,
            store: MemoryStore::new(),
            clock: Clock::starting_at(BEGINNING),
            ids: Ids::counted(),
            began: Instant::now(),
            hints: (0..processes).map(|_| watch::Sender::new(Hints::default())).collect(),
            state: Mutex::new(State {
                trace: Trace::new(readable),
                journal: Journal::default(),
                rows: Dump::default(),
                leases: BTreeMap::new(),
                lives: BTreeMap::new(),
                given: Given::default(),
                failure: None,
                calls: 0,
                hit: BTreeSet::new(),
                writes: vec![0; processes],
                calm: false,
            }),
            failed: Notify::new(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn say(&self, who: impl fmt::Display, event: fmt::Arguments<'_>) {
        self.state().trace.say(self.elapsed(), who, event);
    }

    /// Ends the run: only the first failure counts.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut state = self.state();
        state.trace.say(self.elapsed(), "!", format_args!("{failure}"));
        state.failure.get_or_insert(failure);
        self.failed.notify_one();
    }

    pub(crate) fn expect(&self, holds: bool, rule: &str, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(Failure::new(rule, what()));
        }
    }

    pub(crate) async fn failure(&self) {
        self.failed.notified().await;
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn calm_down(&self) {
        self.state().calm = true;
        self.say("*", format_args!("faults end"));
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.state().calm
    }

    /// What befalls the next call.
    pub(crate) fn fault(&self, writes: bool) -> Fault {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        if state.calm || self.world.only.as_ref().is_some_and(|only| !only.contains(&call)) {
            return Fault::default();
        }
        let (weather, rng) = (self.world.weather, &mut Rng::at(self.world.seed, &[2, call]));
        let mut fault = Fault::default();
        if rng.chance(weather.delayed) {
            fault.before_ms = rng.pick(&[0, 1, 3, 20, 200]);
            fault.after_ms = rng.pick(&[0, 1, 3, 20, 200]);
            if rng.chance(20) {
                fault.before_ms *= 10;
            }
        }
        if rng.chance(weather.failed) {
            fault.kind = rng.pick(&[Kind::Failed, Kind::Failed, Kind::Shut]);
        } else if writes && rng.chance(weather.unknown) {
            fault.kind = rng.pick(&[Kind::UnknownBefore, Kind::UnknownAfter]);
        } else if rng.chance(weather.stale) {
            fault.kind = Kind::Stale;
        }
        if fault != Fault::default() {
            state.hit.insert(call);
        }
        fault
    }

    /// How often other processes have written.
    pub(crate) fn version(&self, process: usize) -> i64 {
        let state = self.state();
        state.writes.iter().enumerate().filter(|(of, _)| *of != process).map(|(_, writes)| writes).sum()
    }

    pub(crate) fn hints(&self, process: usize) -> watch::Receiver<Hints> {
        self.hints[process].subscribe()
    }

    /// Tells the other processes that there is something to look at: by far not always, and also where there is nothing.
    fn hint(&self, process: usize, ready: bool, other: bool, events: bool) {
        let state = self.state();
        let rng = &mut Rng::at(self.world.seed, &[4, state.calls]);
        for (_, heard) in self.hints.iter().enumerate().filter(|(of, _)| *of != process) {
            let (lost, wrong) = (rng.chance(self.world.weather.stale), rng.chance(self.world.weather.stale / 3));
            if (ready || other || events) && !lost || wrong {
                heard.send_modify(|hints| {
                    hints.ready += u64::from(ready || wrong);
                    hints.other += u64::from(other || wrong);
                    hints.events += u64::from(events || wrong);
                });
            }
        }
    }

    /// A worker's lease begins, goes on or ends.
    pub(crate) fn leased(&self, life: &Life, worker: WorkerId, lease: Duration) {
        let now = self.clock.now();
        let before = self.state().leases.insert(worker, now + lease);
        if !lease.is_zero() {
            self.state().lives.entry(worker).or_insert(life.id());
        }
        let alive = lease.is_zero() || before.is_none_or(|until| until > now);
        self.expect(alive, "a lease that had ended goes on", || format!("of {life}"));
    }

    /// A call was carried out: what must be true of the rows is checked, and of what became of them.
    pub(crate) async fn applied(
        &self,
        life: &Arc<Life>,
        told: Option<Timestamp>,
        commands: &[Command],
        replies: &[Result<Reply, Refusal>],
    ) {
        let dump = self.store.dump(None, u32::MAX).await.unwrap();
        let ready = dump.live.iter().any(|row| row.state == StepState::Ready);
        let acted = commands.iter().any(|command| command.action().is_some());
        let published = dump.events.len() > self.state().rows.events.len();
        self.hint(life.process, ready, acted, published);
        let state = &mut *self.state();
        state.writes[life.process] += 1;
        let accepted = commands.iter().zip(replies).filter(|(_, reply)| reply.is_ok()).map(|(command, _)| command);
        let change = Change {
            before: &state.rows,
            after: &dump,
            now: self.clock.now(),
            journal: &mut state.journal,
            leases: &state.leases,
            lives: &state.lives,
            by: life.id(),
            told,
        };
        let found = change.check(accepted);
        state.rows = dump;
        if let Err(failure) = found {
            state.trace.say(self.elapsed(), "!", format_args!("{failure}"));
            state.failure.get_or_insert(failure);
            self.failed.notify_one();
        }
    }
}
