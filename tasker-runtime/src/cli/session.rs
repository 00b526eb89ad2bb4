//! An open database, and the engine of this process on it.

use std::future::Future;
use std::time::Duration;

use super::database::{Database, Right};
use super::problem::Problem;
use super::{Context, Outcome};
use crate::app::settings::Place;
use crate::engine::{Engine, HandlerThreads, Ids, Parts};

/// Threads of the runtime that the engine's loop and the store run on; handlers never do.
const ENGINE_THREADS: usize = 2;
/// How often, and how long apart, the lock is tried before it is taken for held.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// How long the process waits at its end for what still runs in the background.
const LINGER: Duration = Duration::from_millis(100);

/// An open database, and the engine of this process on it. It runs steps only once its worker is started.
pub(crate) struct Session {
    pub(crate) store: Database,
    pub(crate) engine: Engine,
    /// The right to run the worker, where this process has it.
    pub(crate) right: Option<Right>,
}

/// Whether a command may make a database where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It may.
    Make,
    /// It has nothing to say without one.
    Refuse,
}

/// Whether a command may come to run steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It may: handlers get threads of their own.
    Worker,
    /// It never does.
    Client,
}

/// Runs a command to its end, on the runtime of the engine.
pub(crate) fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ENGINE_THREADS)
        .thread_name("tasker-engine")
        .enable_all()
        .build()
        .map_err(|error| Problem::new("E300", format!("threads cannot be started: {error}")))?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_timeout(LINGER);
    outcome
}

/// Opens the database that the settings name.
pub(crate) async fn open_store(context: &Context, missing: Missing) -> Result<Database, Problem> {
    let place = &context.settings.database;
    if missing == Missing::Refuse && !place.is_there() {
        return Err(no_database(context, place));
    }
    Ok(Database::open(context).await?)
}

fn no_database(context: &Context, at: &Place) -> Problem {
    let place = match &context.settings.project.settings_file {
        Some(file) => format!("of the project of {}", file.display()),
        None => "of this folder".to_owned(),
    };
    Problem::new("E306", format!("there is no database at {at} yet")).with_help(format!(
        "it is the database {place}: `{}` or `{}` makes it; --db, DATABASE_URL and tasker.toml name another one",
        context.program.command("dev"),
        context.program.command("run <template> --wait"),
    ))
}

impl Session {
    /// Opens the database and starts the engine's loop.
    pub(crate) async fn open(context: &Context, missing: Missing, role: Role) -> Result<Self, Problem> {
        let store = open_store(context, missing).await?;
        Self::on(context, store, role)
    }

    /// The same on a store that is open already.
    pub(crate) fn on(context: &Context, store: Database, role: Role) -> Result<Self, Problem> {
        let threads = match role {
            Role::Client => HandlerThreads::shared(),
            Role::Worker => HandlerThreads::own(std::thread::available_parallelism().map_or(2, usize::from))
                .map_err(|error| Problem::new("E300", format!("threads cannot be started: {error}")))?,
        };
        let engine = Engine::start(Parts {
            store: store.store(),
            registry: context.registry.clone(),
            state: context.state.clone(),
            layers: context.layers.clone(),
            events: context.events.clone(),
            clock: store.clock(),
            ids: Ids::default(),
            threads,
            options: store.options(context),
        });
        Ok(Self { store, engine, right: None })
    }

    /// Takes the right to run the worker, where no other process does.
    pub(crate) async fn take_right(&mut self) -> Result<bool, Problem> {
        if self.right.is_none() {
            self.right = self.store.take_right(true).await?;
        }
        Ok(self.right.is_some())
    }

    /// Takes the right to run a worker, beside others where the database allows it: on a file for a moment longer than it takes others
    /// to look whether its lock is held.
    pub(crate) async fn join(&mut self) -> Result<bool, Problem> {
        for _ in 0..LOCK_TRIES {
            self.right = self.store.take_right(false).await?;
            if self.right.is_some() {
                return Ok(true);
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        Ok(false)
    }

    /// Whether another process runs a worker on this database.
    pub(crate) async fn has_worker(&self) -> Result<bool, Problem> {
        Ok(self.right.is_none() && !self.store.live_workers().await?.is_empty())
    }

    /// Drains the worker and closes the database. What was acknowledged is safe whether or not this succeeds.
    pub(crate) async fn close(self) {
        self.engine.stop().await;
        if let Err(error) = self.store.close().await {
            tracing::warn!(%error, "the database was not closed in good order");
        }
    }
}
