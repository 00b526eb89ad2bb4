//! The embedded database: one file, one writer connection a process, WAL, `synchronous=FULL`.

mod cache;
mod claim;
mod error;
mod facts;
mod file;
mod load;
mod lock;
mod prune;
mod read;
mod rows;
mod schema;
mod sql;
mod templates;
#[cfg(test)]
mod tests;
mod transact;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqliteConnection};
use tasker_types::{TaskId, TaskState, Timestamp, WorkerId};

use self::error::translate;
pub use self::facts::Facts;
use self::file::create_private;
pub use self::lock::WorkerLock;
use self::schema::{check_version, forget_statistics, migrate};
use self::templates::Templates;
use self::writer::{Job, Writer};
use super::{
    ClaimRequest, Claims, Committed, Counts, Due, InputRequest, ListedTask, Page, Queue, StepInput, Store, StoreError,
    StoredTemplate, TaskFilter, TaskView,
};
use crate::core::{Batch, Dump, Pinned, ResolvedTemplate, StepRef};

/// How long a statement waits for another process's short transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS_MAX: u32 = 4;
const STATEMENTS_MAX: usize = 256;

/// How hard a commit is pressed to the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is synced: it survives power loss.
    #[default]
    Full,
    /// Commits survive a crash of the process; the last ones may not survive power loss.
    Relaxed,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How hard a commit is pressed to the disk.
    pub durability: Durability,
    /// How long a statement waits for another process's short transaction.
    pub busy_timeout: Duration,
    /// The most pages that the file may have: a full disk, for tests.
    #[doc(hidden)]
    pub pages_max: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { durability: Durability::default(), busy_timeout: BUSY_TIMEOUT, pages_max: None }
    }
}

/// A database in a file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    readers: SqlitePool,
    templates: Arc<Templates>,
}

impl SqliteStore {
    /// Opens the file, makes it where there is none (mode 0600), and brings its schema up to date.
    ///
    /// # Errors
    /// The file can't be opened, is no database, is busy or read-only, or its schema is newer than this binary.
    pub async fn open(path: impl AsRef<Path>, durability: Durability) -> Result<Self, StoreError> {
        Self::open_with(path, SqliteOptions { durability, ..SqliteOptions::default() }).await
    }

    /// The same with every option.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        create_private(&path)?;
        let synchronous = match options.durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Relaxed => SqliteSynchronous::Normal,
        };
        let reads = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(true)
            .busy_timeout(options.busy_timeout)
            .statement_cache_capacity(STATEMENTS_MAX);
        let writes = match options.pages_max {
            Some(pages) => reads.clone().pragma("max_page_count", pages.to_string()),
            None => reads.clone(),
        };
        let mut connection = SqliteConnection::connect_with(&writes).await.map_err(|error| opening(&path, error))?;
        check_version(&mut connection).await?;
        migrate(&mut connection).await.map_err(|error| named(&path, error))?;
        if forget_statistics(&mut connection).await? {
            connection.close().await.map_err(translate)?;
            connection = SqliteConnection::connect_with(&writes).await.map_err(|error| opening(&path, error))?;
        }
        let templates = Arc::new(Templates::default());
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .min_connections(0)
            .connect_lazy_with(reads.read_only(true));
        Ok(Self { path, writer: Writer::start(connection, templates.clone())?, readers, templates })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the connections; the last process that does moves the WAL into the file.
    ///
    /// # Errors
    /// SQLite says what went wrong. Nothing that was acknowledged is lost.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.writer.ask(Job::Close).await
    }

    /// What the file and SQLite say of themselves.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn facts(&self) -> Result<Facts, StoreError> {
        facts::read(&mut *self.reader().await?).await
    }

    /// A connection that reads. A caller may go away in the middle of a read: the driver undoes what it had begun.
    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers.acquire().await.map_err(translate)
    }
}

fn opening(path: &Path, error: sqlx::Error) -> StoreError {
    named(path, translate(error))
}

/// The error with the path of its file, where it is the file's fault.
fn named(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(text) | StoreError::Open(text) => StoreError::Open(format!("{}: {text}", path.display())),
        other => other,
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        self.writer.ask(|answer| Job::Transact(Box::new(batch), answer)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        self.writer.ask(|answer| Job::Claim(request, answer)).await
    }

    async fn due(&self, now: Timestamp) -> Result<Due, StoreError> {
        self.writer.ask(|answer| Job::Due(now, answer)).await
    }

    async fn strangers(&self, worker: WorkerId, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        read::strangers(&mut *self.reader().await?, worker, limit).await
    }

    async fn inputs(&self, wanted: Vec<InputRequest>) -> Result<Vec<StepInput>, StoreError> {
        read::inputs(&mut *self.reader().await?, &self.templates, &wanted).await
    }

    async fn cancelling(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
        read::cancelling(&mut *self.reader().await?, &tasks).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        templates::all_queues(&mut *self.reader().await?).await
    }

    async fn pin(&self, template: ResolvedTemplate, now: Timestamp) -> Result<Arc<Pinned>, StoreError> {
        self.writer.ask(|answer| Job::Pin(Box::new(template), now, answer)).await
    }

    async fn find_template(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Arc<Pinned>>, StoreError> {
        let connection = &mut *self.reader().await?;
        match read::template_named(connection, namespace, name, version).await? {
            Some(id) => self.templates.by_id(connection, id).await.map(Some),
            None => Ok(None),
        }
    }

    async fn list_templates(&self) -> Result<Vec<StoredTemplate>, StoreError> {
        read::list_templates(&mut *self.reader().await?).await
    }

    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError> {
        read::task_state(&mut *self.reader().await?, task).await
    }

    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError> {
        consistent(&mut *self.reader().await?, async |connection| {
            read::find_task(connection, &self.templates, task).await
        })
        .await
    }

    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError> {
        read::list_tasks(&mut *self.reader().await?, &self.templates, &filter, page).await
    }

    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        read::tasks_by_prefix(&mut *self.reader().await?, prefix, limit).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        read::counts(&mut *self.reader().await?).await
    }

    async fn version(&self) -> Result<i64, StoreError> {
        self.writer.ask(Job::Version).await
    }

    async fn settled(&self) -> Result<(), StoreError> {
        // The writer does one thing after the other.
        self.writer.ask(Job::Version).await.map(drop)
    }

    async fn prune(&self, ended_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.writer.ask(|answer| Job::Prune(ended_before, limit, answer)).await
    }

    async fn dump(&self, after: Option<TaskId>, limit: u32) -> Result<Dump, StoreError> {
        consistent(&mut *self.reader().await?, async |connection| {
            read::dump(connection, &self.templates, after, limit).await
        })
        .await
    }
}

/// Several reads that see one and the same commit.
async fn consistent<T>(
    connection: &mut SqliteConnection,
    read: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut transaction = connection.begin().await.map_err(translate)?;
    let outcome = read(&mut transaction).await?;
    transaction.rollback().await.map_err(translate)?;
    Ok(outcome)
}
