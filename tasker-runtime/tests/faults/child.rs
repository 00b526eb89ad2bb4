//! The worker process: this test binary itself, started again. It lives as long as whoever started it.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tasker_runtime::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts, WakeUp};
use tasker_runtime::event::EventRegistry;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::Store;
use tasker_runtime::store::postgres::PostgresStore;
use tasker_runtime::store::sqlite::{Durability, SqliteStore, WorkerLock};

use crate::events::{SUBSCRIBES, subscribers};
use crate::log::Log;
use crate::workflow::{PLACE, add_templates, registry};

const URL: &str = "TASKER_FAULTS_URL";
const LEASE_MS: &str = "TASKER_FAULTS_LEASE_MS";
/// How long the lease of a worker lasts that does not renew it: the shortest that can be set.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
const SLOTS: usize = 16;
/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(100);

/// Where tasks are, and where journal and log are kept.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    /// The URL of a server; the file is in the folder.
    pub(crate) url: Option<String>,
    /// How long the lease of a worker lasts on a server.
    pub(crate) lease: Duration,
}

impl Place {
    pub(crate) fn file(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), url: None, lease: LEASE }
    }

    pub(crate) fn server(folder: &Path, url: &str) -> Self {
        Self { folder: folder.to_owned(), url: Some(url.to_owned()), lease: LEASE }
    }

    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        let Some(url) = &self.url else {
            return Arc::new(SqliteStore::open(self.folder.join("tasker.db"), Durability::Full).await.unwrap());
        };
        let deadline = Instant::now() + DEADLINE;
        loop {
            match PostgresStore::open(url, Durability::Full).await {
                Ok(store) => return Arc::new(store),
                Err(error) => {
                    assert!(matches!(error.code(), "D001" | "D002"), "{error}");
                    assert!(Instant::now() < deadline, "the server never answers: {error}");
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// An engine that runs no steps until its worker is started.
    pub(crate) async fn engine(&self, slots: usize) -> Engine {
        self.engine_with(slots, registry(&self.folder), EventRegistry::default(), WakeUp::default()).await
    }

    /// The same with these handlers and subscribers.
    pub(crate) async fn engine_with(
        &self,
        slots: usize,
        registry: RustStepHandlerRegistry,
        events: EventRegistry,
        wake_up: WakeUp,
    ) -> Engine {
        Engine::start(Parts {
            store: self.store().await,
            registry: Arc::new(registry),
            state: Arc::default(),
            layers: Arc::new([]),
            events: Arc::new(events),
            clock: if self.url.is_some() { Clock::Database } else { Clock::System },
            ids: Ids::default(),
            threads: HandlerThreads::own(2).unwrap(),
            options: Options {
                slots,
                poll: Duration::from_millis(if self.url.is_some() { 50 } else { 5 }),
                lease: self.url.as_ref().map(|_| self.lease),
                label: std::process::id().to_string(),
                wake_up,
                ..Options::default()
            },
        })
    }
}

/// Not a test of its own: what the other tests start and kill. Alone it does nothing.
#[test]
fn worker_process() {
    let Some(folder) = std::env::var_os(PLACE) else { return };
    let lease = Duration::from_millis(std::env::var(LEASE_MS).unwrap().parse().unwrap());
    let place = Place { folder: folder.into(), url: std::env::var(URL).ok(), lease };
    std::thread::spawn(|| {
        // It ends when the other side does.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    Log::start(&place.folder);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let _lock = match &place.url {
            None => Some(lock(&place.folder.join("tasker.db")).await),
            Some(_) => None,
        };
        let subscribers =
            if std::env::var_os(SUBSCRIBES).is_some() { subscribers(&place.folder) } else { EventRegistry::default() };
        let engine = place.engine_with(SLOTS, registry(&place.folder), subscribers, WakeUp::default()).await;
        add_templates(&engine).await;
        while let Err(error) = engine.start_worker().await {
            tracing::warn!(%error, "the worker does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    });
}

/// The lock of a process that was just killed is released with it.
async fn lock(file: &Path) -> WorkerLock {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(lock) = WorkerLock::try_take(file).unwrap() {
            return lock;
        }
        assert!(Instant::now() < deadline, "the worker's lock is never free");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A worker process, which is killed where it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    pid: Pid,
}

impl Worker {
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    /// With these variables of the environment.
    pub(crate) fn start_with(place: &Place, variables: &[(&str, &OsStr)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child::worker_process", "--nocapture"]);
        command.env(PLACE, &place.folder).env(LEASE_MS, place.lease.as_millis().to_string());
        command.envs(variables.iter().copied());
        match &place.url {
            Some(url) => command.env(URL, url),
            None => command.env_remove(URL),
        };
        let err = std::fs::OpenOptions::new().create(true).append(true).open(place.folder.join("errors")).unwrap();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(err).spawn().unwrap();
        let pid = Pid::from_child(&child);
        Self { child, pid }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it ended by itself.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it where it stands, until it goes on.
    pub(crate) fn stop(&self) {
        kill_process(self.pid, Signal::STOP).unwrap();
    }

    pub(crate) fn go_on(&self) {
        kill_process(self.pid, Signal::CONT).unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again until it holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
