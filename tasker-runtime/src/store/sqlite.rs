//! The embedded database: one file, one writer connection a process, WAL, `synchronous=FULL`.

mod cache;
mod claim;
mod error;
mod event;
mod facts;
mod file;
mod load;
mod lock;
mod prune;
mod read;
mod readers;
mod rows;
mod schema;
mod sql;
mod templates;
#[cfg(test)]
mod tests;
mod transact;
mod workers;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use tasker_types::{TaskId, TaskState, Timestamp, WorkerId};

use self::error::translate;
pub use self::facts::Facts;
use self::file::create_private;
pub use self::lock::WorkerLock;
use self::readers::Readers;
use self::schema::{check_version, forget_statistics, migrate};
use self::templates::Templates;
use self::writer::{BATCHES_AT_ONCE, Job, Writer};
pub use super::Durability;
use super::contract::LIFECYCLE;
use super::{
    ClaimRequest, Claims, Committed, Counts, Deliveries, DeliveryReport, DeliveryRequest, Due, EventView, FailureGroup,
    InputRequest, LeaseRequest, Leased, ListedTask, Page, Queue, StepInput, Store, StoreError, StoredTemplate,
    SubscriberView, Subscription, TaskFilter, TaskView, Whose, WorkerView,
};
use crate::core::{Batch, Dump, Pinned, ResolvedTemplate, StepRef, SubscriberId};

/// How long a statement waits for another process's short transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS_MAX: usize = 128;

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
    readers: Readers,
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
        let opening = tokio::task::spawn_blocking(move || {
            let connection = open_writer(&path, &options)?;
            let templates = Arc::new(Templates::default());
            let writer = Writer::start(connection, templates.clone())?;
            Ok(Self { readers: Readers::new(path.clone(), options, templates), path, writer })
        });
        match opening.await {
            Ok(opened) => opened,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(StoreError::Open("the process is ending".into())),
        }
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
        self.readers.read(|connection, _| facts::read(connection)).await
    }
}

/// Opens the one connection that writes, with the newest schema.
fn open_writer(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    create_private(path)?;
    check_version()?;
    let connect = || -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(translate)?;
        configure(&connection, options).map_err(translate)?;
        connection.query_row("PRAGMA journal_mode = WAL", (), |_| Ok(())).map_err(translate)?;
        if let Some(pages) = options.pages_max {
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), (), |_| Ok(())).map_err(translate)?;
        }
        Ok(connection)
    };
    let connection = patiently(options.busy_timeout, connect).map_err(|error| named(path, error))?;
    migrate(&connection).map_err(|error| named(path, error))?;
    if forget_statistics(&connection)? {
        drop(connection);
        return patiently(options.busy_timeout, connect).map_err(|error| named(path, error));
    }
    Ok(connection)
}

/// Tries again while another process is in the way. SQLite itself does not wait where two connections make the same new
/// file a WAL file at once: each would wait for the other.
fn patiently<T>(limit: Duration, mut open: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    const PAUSE: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + limit;
    loop {
        match open() {
            Err(StoreError::Unavailable(_)) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

/// What every connection is set to.
fn configure(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(
        None,
        "synchronous",
        match options.durability {
            Durability::Full => "FULL",
            Durability::Relaxed => "NORMAL",
        },
    )
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
    fn batches_at_once(&self) -> usize {
        BATCHES_AT_ONCE
    }

    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        self.writer.ask(|answer| Job::Transact(Box::new(batch), answer)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        self.writer.ask(|answer| Job::Claim(request, answer)).await
    }

    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError> {
        self.writer.ask(|answer| Job::Due(now, answer)).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        self.writer.ask(|answer| Job::Lease(request, answer)).await
    }

    async fn claims(&self, whose: Whose, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        self.readers.read(move |connection, _| workers::claims(connection, whose, limit)).await
    }

    async fn overdue(
        &self,
        of: Option<Vec<TaskId>>,
        now: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        self.readers.read(move |connection, _| workers::overdue(connection, of.as_deref(), now, limit)).await
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError> {
        self.readers.read(move |connection, _| workers::workers(connection, now)).await
    }

    async fn inputs(&self, wanted: Vec<InputRequest>) -> Result<Vec<StepInput>, StoreError> {
        self.readers.read(move |connection, templates| read::inputs(connection, templates, &wanted)).await
    }

    async fn cancelling(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
        self.readers.read(move |connection, _| read::cancelling(connection, &tasks)).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.readers.read(|connection, _| templates::all_queues(connection)).await
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
        let (namespace, name, version) = (namespace.to_owned(), name.to_owned(), version.map(str::to_owned));
        self.readers
            .read(move |connection, templates| {
                let id = read::template_named(connection, &namespace, &name, version.as_deref())?;
                id.map(|id| templates.by_id(connection, id)).transpose()
            })
            .await
    }

    async fn list_templates(&self) -> Result<Vec<StoredTemplate>, StoreError> {
        self.readers.read(|connection, _| read::list_templates(connection)).await
    }

    async fn with_lifecycle(&self) -> Result<Vec<Arc<Pinned>>, StoreError> {
        let read = |connection: &Connection, templates: &Templates| {
            let ids = read::templates_that_name(connection, LIFECYCLE)?;
            let all = ids.into_iter().map(|id| templates.by_id(connection, id));
            all.filter(|pinned| pinned.as_ref().is_ok_and(|pinned| pinned.template.lifecycle.is_some())).collect()
        };
        self.readers.read(read).await
    }

    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError> {
        self.readers.read(move |connection, _| read::task_state(connection, task)).await
    }

    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError> {
        self.readers.read(move |connection, templates| read::find_task(connection, templates, task)).await
    }

    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError> {
        self.readers.read(move |connection, templates| read::list_tasks(connection, templates, &filter, page)).await
    }

    async fn failures(&self, filter: TaskFilter, limit: u32) -> Result<Vec<FailureGroup>, StoreError> {
        self.readers.read(move |connection, templates| read::failures(connection, templates, &filter, limit)).await
    }

    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        let prefix = prefix.to_owned();
        self.readers.read(move |connection, _| read::tasks_by_prefix(connection, &prefix, limit)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.readers.read(|connection, _| read::counts(connection)).await
    }

    async fn version(&self) -> Result<i64, StoreError> {
        self.writer.ask(Job::Version).await
    }

    async fn settled(&self) -> Result<(), StoreError> {
        // The writer does one thing after the other.
        self.writer.ask(Job::Version).await.map(drop)
    }

    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError> {
        self.writer.ask(|answer| Job::Subscribe(subscription, now, answer)).await
    }

    async fn unsubscribe(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.writer.ask(|answer| Job::Unsubscribe(name.to_owned(), answer)).await
    }

    async fn subscribers(&self) -> Result<Vec<SubscriberView>, StoreError> {
        self.readers.read(|connection, _| event::subscribers(connection)).await
    }

    async fn deliveries(&self, request: DeliveryRequest) -> Result<Deliveries, StoreError> {
        self.writer.ask(|answer| Job::Deliveries(request, answer)).await
    }

    async fn delivered(&self, subscriber: SubscriberId, report: DeliveryReport) -> Result<(), StoreError> {
        self.writer.ask(|answer| Job::Delivered(subscriber, report, answer)).await
    }

    async fn events_of(&self, task: TaskId, after: Option<i64>, limit: u32) -> Result<Vec<EventView>, StoreError> {
        self.readers.read(move |connection, _| event::of_task(connection, task, after, limit)).await
    }

    async fn prune(&self, kept: Duration, limit: u32, now: Option<Timestamp>) -> Result<u64, StoreError> {
        self.writer.ask(|answer| Job::Prune(kept, limit, now, answer)).await
    }

    async fn dump(&self, after: Option<TaskId>, limit: u32) -> Result<Dump, StoreError> {
        self.readers.read(move |connection, templates| read::dump(connection, templates, after, limit)).await
    }
}
