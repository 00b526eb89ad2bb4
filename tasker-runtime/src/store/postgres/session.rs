//! A connection with its rules: every statement has a deadline, and a COMMIT without an answer is unknown.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Postgres};

use super::error::{POOLER, translate, unless_committed};
use super::rows::Columns;
use crate::store::StoreError;

/// How long the server has to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The server gives up a statement earlier (see `Address`): beyond this, nobody is at the other end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a failed transaction has to be undone before its connection is dropped instead.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(2);

/// What the pooler must be told.
const POOLER_SETTING: &str = "set `ignore_startup_parameters = extra_float_digits` in the pooler";

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// A connection that one task owns.
#[derive(Debug)]
pub(super) struct Session {
    connection: PgConnection,
    /// Behind a transaction pooler nothing outlives a transaction, prepared statements neither.
    pooled: bool,
    /// The server's process; behind a pooler it is another one for each transaction.
    backend: Option<Backend>,
}

/// A process of the server. Its number is given again after its end, its start is not.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pid: i32,
    start: String,
}

const BACKEND: &str = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2";

impl Session {
    pub(super) async fn connect(options: &PgConnectOptions, pooled: bool) -> Result<Self, StoreError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
            Ok(connection) => {
                let mut session =
                    Self { connection: connection.map_err(|error| connecting(error, pooled))?, pooled, backend: None };
                if !pooled {
                    let rows = session.fetch(sqlx::query(BACKEND)).await?;
                    let row = rows.first().map(Columns::of);
                    session.backend = row
                        .map(|mut columns| Ok::<_, StoreError>(Backend { pid: columns.get()?, start: columns.get()? }))
                        .transpose()?;
                }
                Ok(session)
            }
            Err(_) => Err(StoreError::Unavailable(format!(
                "the server did not answer within {CONNECT_TIMEOUT:?}; check host and port in the database URL"
            ))),
        }
    }

    /// Rows, within a transaction that was begun.
    pub(super) async fn fetch(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>, StoreError> {
        let statement = statement.persistent(!self.pooled);
        answered(statement.fetch_all(&mut self.connection)).await?.map_err(translate)
    }

    /// How many rows were touched, within a transaction that was begun.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let statement = statement.persistent(!self.pooled);
        Ok(answered(statement.execute(&mut self.connection)).await?.map_err(translate)?.rows_affected())
    }

    /// One statement that is a transaction of its own, and writes.
    pub(super) async fn fetch_alone(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>, StoreError> {
        if self.pooled {
            self.begin().await?;
            let rows = self.fetch(statement).await?;
            self.commit().await?;
            return Ok(rows);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, statement.fetch_all(&mut self.connection)).await {
            Ok(rows) => rows.map_err(unless_committed),
            Err(_) => Err(StoreError::Unknown(no_answer())),
        }
    }

    /// One statement that only reads.
    pub(super) async fn read(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>, StoreError> {
        if self.pooled {
            self.begin().await?;
            let rows = self.fetch(statement).await?;
            self.end_read().await?;
            return Ok(rows);
        }
        self.fetch(statement).await
    }

    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.simple("BEGIN ISOLATION LEVEL READ COMMITTED").await
    }

    /// Several reads that see one and the same moment.
    pub(super) async fn begin_read(&mut self) -> Result<(), StoreError> {
        self.simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    pub(super) async fn end_read(&mut self) -> Result<(), StoreError> {
        self.simple("COMMIT").await
    }

    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        match tokio::time::timeout(ANSWER_TIMEOUT, sqlx::raw_sql("COMMIT").execute(&mut self.connection)).await {
            Ok(done) => done.map(drop).map_err(unless_committed),
            Err(_) => Err(StoreError::Unknown(no_answer())),
        }
    }

    /// Statements without parameters.
    pub(super) async fn simple(&mut self, text: &'static str) -> Result<(), StoreError> {
        answered(sqlx::raw_sql(text).execute(&mut self.connection)).await?.map(drop).map_err(translate)
    }

    /// The server's process behind it.
    pub(super) fn backend(&self) -> Option<Backend> {
        self.backend.clone()
    }

    /// Ends another process of the server. Tells whether it was there still.
    pub(super) async fn end(&mut self, other: &Backend) -> Result<bool, StoreError> {
        let rows = self.fetch(sqlx::query(END).bind(other.pid).bind(&other.start)).await?;
        Ok(!rows.is_empty())
    }

    /// What was done of a failed transaction is undone. Tells whether the connection can be used again.
    pub(super) async fn undo(&mut self) -> bool {
        let undone = sqlx::raw_sql("ROLLBACK").execute(&mut self.connection);
        tokio::time::timeout(ROLLBACK_TIMEOUT, undone).await.is_ok_and(|undone| undone.is_ok())
    }

    pub(super) async fn close(self) {
        // The server notices it anyway; in good order it does not write it to its log.
        let _ = tokio::time::timeout(ROLLBACK_TIMEOUT, self.connection.close()).await;
    }
}

async fn answered<T>(call: impl Future<Output = T>) -> Result<T, StoreError> {
    tokio::time::timeout(ANSWER_TIMEOUT, call).await.map_err(|_| StoreError::Unavailable(no_answer()))
}

fn no_answer() -> String {
    format!("the server did not answer within {ANSWER_TIMEOUT:?}")
}

/// Where there is no connection yet, most errors of the system are about the address.
fn connecting(error: sqlx::Error, pooled: bool) -> StoreError {
    match &error {
        // What a server knows, a pooler may not.
        sqlx::Error::Database(inner) if inner.message().contains("unsupported startup parameter") => {
            let advice = if pooled { POOLER_SETTING.to_owned() } else { format!("{POOLER}, and {POOLER_SETTING}") };
            StoreError::Open(format!("{}; {advice}", inner.message()))
        }
        sqlx::Error::Io(inner) if inner.kind() == std::io::ErrorKind::ConnectionRefused => {
            StoreError::Unavailable(format!("{inner}: start the server, or check host and port in the database URL"))
        }
        sqlx::Error::Io(inner) => {
            StoreError::Unavailable(format!("{inner}: check host and port in the database URL, and the server"))
        }
        sqlx::Error::Database(inner) if inner.code().as_deref() == Some("53300") => StoreError::Unavailable(format!(
            "{}: raise max_connections of the server, stop other programs, or put a pooler in front of it",
            inner.message()
        )),
        _ => translate(error),
    }
}
