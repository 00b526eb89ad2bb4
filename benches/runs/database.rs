//! Where the tasks of a run are: a file, or a database on a server, of its own for each.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
use tasker_runtime::core::Pinned;
use tasker_runtime::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::postgres::PostgresStore;
use tasker_runtime::store::sqlite::{Durability, SqliteStore};
use tasker_runtime::store::{MemoryStore, Store};
use tasker_types::template;
use uuid::Uuid;

use crate::machine;

/// Names the server that `cargo xtask bench` starts.
const SERVER: &str = "TASKER_BENCH_POSTGRES";
/// How long a worker's lease lasts on a server: what an application has by default.
const LEASE: std::time::Duration = std::time::Duration::from_secs(30);

/// What kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    /// None: what the engine itself can do.
    Memory,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Memory => "memory",
        }
    }

    /// The one of the two that is for this kind.
    pub(crate) fn of<T>(self, sqlite: T, postgres: T) -> T {
        if self == Self::Postgres { postgres } else { sqlite }
    }
}

/// The server's address without a database; `None` where none is named.
pub(crate) fn server() -> Option<String> {
    let url = std::env::var(SERVER).ok()?;
    Some(url.rsplit_once('/').map_or(url.clone(), |(server, _)| server.to_owned()))
}

/// A connection beside those of a store, set as a store sets its own.
pub(crate) async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    const SESSION: &[(&str, &str)] = &[
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ];
    let options: PgConnectOptions = url.parse()?;
    Ok(options.disable_statement_logging().options(SESSION.iter().copied()).connect().await?)
}

/// Runs statements without parameters.
pub(crate) async fn run(connection: &mut PgConnection, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// The one row that a statement without parameters gives.
pub(crate) async fn one(connection: &mut PgConnection, sql: &str) -> anyhow::Result<PgRow> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await?)
}

/// How often the server has synced its log so far, and how many milliseconds that took.
pub(crate) async fn synced() -> anyhow::Result<(f64, f64)> {
    let server = server().ok_or_else(|| anyhow::anyhow!("{SERVER} names no server"))?;
    let connection = &mut connect(&format!("{server}/postgres")).await?;
    let sql = "SELECT wal_sync::double precision, wal_sync_time FROM pg_stat_wal";
    let row = one(connection, sql).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// A database that was empty when it was made.
pub(crate) struct Database {
    pub(crate) kind: Kind,
    /// The file's path, or the URL.
    pub(crate) address: String,
    _directory: Option<tempfile::TempDir>,
}

impl Database {
    pub(crate) async fn create(kind: Kind) -> anyhow::Result<Self> {
        if kind == Kind::Postgres {
            let server = server().ok_or_else(|| anyhow::anyhow!("{SERVER} names no server"))?;
            let name = format!("tasker_bench_{}", Uuid::new_v4().simple());
            run(&mut connect(&format!("{server}/postgres")).await?, &format!("CREATE DATABASE {name}")).await?;
            return Ok(Self { kind, address: format!("{server}/{name}"), _directory: None });
        }
        let directory = tempfile::tempdir_in(machine::place())?;
        let address = directory.path().join("bench.db").to_string_lossy().into_owned();
        Ok(Self { kind, address, _directory: Some(directory) })
    }

    pub(crate) async fn open(&self) -> anyhow::Result<Opened> {
        Opened::at(self.kind, &self.address).await
    }

    /// The URL of the same database over the server's Unix socket; `None` where there is none that this user reaches.
    pub(crate) async fn over_socket(&self) -> anyhow::Result<Option<String>> {
        if self.kind != Kind::Postgres {
            return Ok(None);
        }
        let connection = &mut connect(&self.address).await?;
        let folders: String = one(connection, "SHOW unix_socket_directories").await?.try_get(0)?;
        let folder = folders.split(',').next().unwrap_or_default().trim();
        let url = format!("{}?host={folder}", self.address);
        let is_there = folder.starts_with('/') && connect(&url).await.is_ok();
        Ok(is_there.then_some(url))
    }

    /// What the server has counted for this database so far; `None` where there is no server.
    pub(crate) async fn counted(&self) -> anyhow::Result<Option<Counted>> {
        if self.kind != Kind::Postgres {
            return Ok(None);
        }
        let connection = &mut connect(&self.address).await?;
        let wal: i64 = one(connection, "SELECT (pg_current_wal_lsn() - '0/0')::bigint").await?.try_get(0)?;
        let counts = "SELECT count(*) > 0 FROM pg_extension WHERE extname = 'pg_stat_statements'";
        let statements = if one(connection, counts).await?.try_get(0)? {
            let sum = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid \
                       WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat_statements%' \
                       AND s.query NOT LIKE '%pg_current_wal_lsn%' AND s.query NOT LIKE '%pg_extension%'";
            Some(one(connection, sum).await?.try_get(0)?)
        } else {
            None
        };
        Ok(Some(Counted { wal, statements }))
    }

    /// Has the server count the statements of connections that begin from now on, where it can.
    pub(crate) async fn count_statements(&self) -> anyhow::Result<()> {
        if self.kind != Kind::Postgres {
            return Ok(());
        }
        let connection = &mut connect(&self.address).await?;
        let library: String = one(connection, "SHOW shared_preload_libraries").await?.try_get(0)?;
        if library.contains("pg_stat_statements") {
            let name = self.address.rsplit('/').next().unwrap_or_default();
            let set = format!(
                "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; ALTER DATABASE {name} SET pg_stat_statements.track = 'all'"
            );
            run(connection, &set).await?;
        }
        Ok(())
    }

    /// The database goes, and with it what its upkeep would cost the next run.
    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        if let (Kind::Postgres, Some((server, name))) = (self.kind, self.address.rsplit_once('/')) {
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            run(&mut connect(&format!("{server}/postgres")).await?, &drop).await?;
        }
        Ok(())
    }
}

/// What a server has counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    /// Bytes of WAL, of the whole server.
    pub(crate) wal: i64,
    /// Statements, where it counts them.
    pub(crate) statements: Option<i64>,
}

/// A store that can be closed.
pub(crate) enum Opened {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
    Memory(Arc<MemoryStore>),
}

impl Opened {
    pub(crate) async fn at(kind: Kind, address: &str) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Sqlite => {
                Self::Sqlite(Arc::new(SqliteStore::open(std::path::Path::new(address), Durability::Full).await?))
            }
            Kind::Postgres => Self::Postgres(Arc::new(PostgresStore::open(address, Durability::Full).await?)),
            Kind::Memory => Self::Memory(Arc::new(MemoryStore::new())),
        })
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
            Self::Memory(store) => store.clone(),
        }
    }

    async fn close(&self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(store) => store.close().await?,
            Self::Postgres(store) => store.close().await?,
            Self::Memory(_) => {}
        }
        Ok(())
    }
}

/// An engine with its worker.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    opened: Opened,
}

impl Running {
    /// Starts an engine and its worker, as an application does, on a store that was opened.
    pub(crate) async fn start(
        opened: Opened,
        templates: &[String],
        registry: RustStepHandlerRegistry,
        options: Options,
    ) -> anyhow::Result<Self> {
        let running = Self::without_worker(opened, registry, options)?;
        for text in templates {
            running.add(text).await?;
        }
        running.engine.start_worker().await?;
        Ok(running)
    }

    /// The same without a worker.
    pub(crate) fn without_worker(
        opened: Opened,
        registry: RustStepHandlerRegistry,
        options: Options,
    ) -> anyhow::Result<Self> {
        let lease = matches!(opened, Opened::Postgres(_)).then_some(LEASE);
        let engine = Engine::start(Parts {
            store: opened.store(),
            registry: Arc::new(registry),
            state: Arc::default(),
            layers: Arc::new([]),
            events: Arc::default(),
            clock: match opened {
                // Between machines the server's clock decides.
                Opened::Postgres(_) => Clock::Database,
                _ => Clock::System,
            },
            ids: Ids::default(),
            threads: HandlerThreads::own(1)?,
            options: Options { lease, ..options },
        });
        Ok(Self { engine, opened })
    }

    /// Stores a template.
    pub(crate) async fn add(&self, text: &str) -> anyhow::Result<Arc<Pinned>> {
        let parsed = template::parse("bench.yaml", text).map_err(|findings| anyhow::anyhow!("{findings}"))?;
        Ok(self.engine.add_template(parsed.template).await?)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.engine.stop().await;
        self.opened.close().await
    }
}

/// An engine with its worker, on a database of its own.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) database: Database,
    running: Running,
}

impl Bench {
    pub(crate) async fn start(
        kind: Kind,
        templates: &[String],
        registry: RustStepHandlerRegistry,
        options: Options,
    ) -> anyhow::Result<Self> {
        let database = Database::create(kind).await?;
        Self::on(database, templates, registry, options).await
    }

    /// The same on a database that is there.
    pub(crate) async fn on(
        database: Database,
        templates: &[String],
        registry: RustStepHandlerRegistry,
        options: Options,
    ) -> anyhow::Result<Self> {
        let running = Running::start(database.open().await?, templates, registry, options).await?;
        Ok(Self { engine: running.engine.clone(), database, running })
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.running.stop().await?;
        self.database.remove().await
    }
}
