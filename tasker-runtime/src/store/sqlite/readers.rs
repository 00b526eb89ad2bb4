//! A few connections that read, each on a thread for blocking work. They see the last commit and never wait for the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::error::translate;
use super::templates::Templates;
use super::{SqliteOptions, configure};
use crate::store::StoreError;

/// Reads at once; further callers wait.
const READERS_MAX: u32 = 4;

/// The connections that read. The first reads open them.
#[derive(Debug, Clone)]
pub(super) struct Readers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    options: SqliteOptions,
    templates: Arc<Templates>,
    idle: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, options: SqliteOptions, templates: Arc<Templates>) -> Self {
        let places = Arc::new(Semaphore::new(READERS_MAX as usize));
        Self(Arc::new(Shared { path, options, templates, idle: Mutex::default(), places }))
    }

    /// Reads several times from one and the same commit. A caller who goes away does not stop a read that has begun.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &Templates) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = self.0.places.clone().acquire_owned().await.map_err(|_| closed())?;
        let shared = self.0.clone();
        let reading = tokio::task::spawn_blocking(move || {
            // It is given back when the connection was.
            let _place = place;
            shared.read(read)
        });
        match reading.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(closed()),
        }
    }

    /// Waits for the reads that have begun, and closes their connections.
    pub(super) async fn close(&self) {
        // An error says that they were closed before.
        let _ = self.0.places.acquire_many(READERS_MAX).await;
        self.0.places.close();
        self.0.idle().clear();
    }
}

impl Shared {
    fn read<T>(&self, read: impl FnOnce(&Connection, &Templates) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open()?,
        };
        connection.execute_batch("BEGIN").map_err(translate)?;
        let outcome = read(&connection, &self.templates);
        // A connection that can't end its transaction is not used again.
        if connection.execute_batch("ROLLBACK").is_ok() {
            self.idle().push(connection);
        }
        outcome
    }

    fn open(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(translate)?;
        configure(&connection, &self.options).map_err(translate)?;
        Ok(connection)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> StoreError {
    StoreError::Open("the database was closed".into())
}
