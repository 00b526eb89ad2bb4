//! An open database, of whichever kind the settings name.

use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;

use super::Context;
use crate::app::settings::Place;
use crate::engine::{Clock, Options};
#[cfg(feature = "postgres")]
use crate::store::postgres::{self, PostgresStore};
use crate::store::sqlite::{self, SqliteStore, WorkerLock};
use crate::store::{Store, StoreError, WorkerView};

/// An open database.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// In a file.
    Sqlite(Arc<SqliteStore>),
    /// On a server.
    #[cfg(feature = "postgres")]
    Postgres(Arc<PostgresStore>),
}

/// What a database says of itself.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Facts {
    Sqlite(sqlite::Facts),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Facts),
}

/// The right to run a worker.
#[derive(Debug)]
pub(crate) enum Right {
    /// The only one on its file.
    Only { _lock: WorkerLock },
    /// One of many.
    #[cfg(feature = "postgres")]
    OneOfMany,
}

impl Database {
    pub(crate) async fn open(context: &Context) -> Result<Self, StoreError> {
        let durability = context.settings.durability;
        match &context.settings.database {
            Place::File(path) => Ok(Self::Sqlite(Arc::new(SqliteStore::open(path, durability).await?))),
            #[cfg(feature = "postgres")]
            Place::Server { url, .. } => Ok(Self::Postgres(Arc::new(PostgresStore::open(url, durability).await?))),
        }
    }

    /// The same, for the engine.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => store.clone(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.clone(),
        }
    }

    /// Whose time decides: one process's own, or that of the server that many share.
    pub(crate) fn clock(&self) -> Clock {
        match self {
            Self::Sqlite(_) => Clock::System,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Clock::Database,
        }
    }

    /// What the engine is started with on it.
    pub(crate) fn options(&self, context: &Context) -> Options {
        let lease = match self {
            Self::Sqlite(_) => None,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Some(context.settings.lease),
        };
        let label = format!("{}:{}", host(), std::process::id());
        Options { lease, label, ..context.settings.options.clone() }
    }

    /// What it says of itself.
    pub(crate) async fn facts(&self) -> Result<Facts, StoreError> {
        Ok(match self {
            Self::Sqlite(store) => Facts::Sqlite(store.facts().await?),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Facts::Postgres(store.facts().await?),
        })
    }

    /// The bytes that it takes.
    pub(crate) fn bytes(&self, facts: &Facts) -> u64 {
        match (self, facts) {
            // The file and what stands beside it.
            (Self::Sqlite(store), _) => {
                let beside = |ending: &str| {
                    let mut name = store.path().as_os_str().to_owned();
                    name.push(ending);
                    std::fs::metadata(name).map_or(0, |found| found.len())
                };
                beside("") + beside("-wal")
            }
            #[cfg(feature = "postgres")]
            (_, Facts::Postgres(facts)) => u64::try_from(facts.bytes).unwrap_or(0),
            #[cfg(feature = "postgres")]
            (_, Facts::Sqlite(_)) => 0,
        }
    }

    /// Takes the right to run a worker here. On a file one process has it; where `unless_there_is_one`, on a server too.
    pub(crate) async fn take_right(&self, unless_there_is_one: bool) -> Result<Option<Right>, StoreError> {
        match self {
            Self::Sqlite(store) => Ok(WorkerLock::try_take(store.path())?.map(|lock| Right::Only { _lock: lock })),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                let taken = unless_there_is_one && !self.live_workers().await?.is_empty();
                Ok((!taken).then_some(Right::OneOfMany))
            }
        }
    }

    /// The workers that run now, in any process.
    pub(crate) async fn live_workers(&self) -> Result<Vec<WorkerView>, StoreError> {
        if let Self::Sqlite(store) = self
            && !WorkerLock::is_held(store.path())?
        {
            return Ok(Vec::new());
        }
        let workers = self.workers(self.clock().told()).await?;
        Ok(workers.into_iter().filter(|worker| worker.is_live).collect())
    }

    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.close().await,
        }
    }
}

impl Deref for Database {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Sqlite(store) => &**store,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => &**store,
        }
    }
}

impl Facts {
    /// The newest migration that the database has.
    pub(crate) fn schema_version(&self) -> i64 {
        match self {
            Self::Sqlite(facts) => facts.schema_version,
            #[cfg(feature = "postgres")]
            Self::Postgres(facts) => facts.schema_version,
        }
    }

    /// What it runs on and how safe that is: a name, and the rest.
    pub(crate) fn kind(&self) -> (&'static str, String) {
        match self {
            Self::Sqlite(facts) => {
                let how =
                    format!("{}, {}, synchronous {}", facts.sqlite_version, facts.journal_mode, facts.synchronous);
                ("SQLite", how)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(facts) => {
                let how = format!("{}, synchronous_commit {}", facts.server_version, facts.synchronous_commit);
                ("PostgreSQL", how)
            }
        }
    }
}

/// The name of this machine.
fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = kernel.or_else(|| ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok()));
    named.map_or_else(|| "localhost".to_owned(), |name| name.trim().to_owned())
}
