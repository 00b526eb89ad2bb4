//! A connection with its rules: every statement has a deadline, and a COMMIT without an answer is unknown.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Postgres};

use super::Durability;
use super::address::{Address, RELAXED, SESSION};
use super::error::{POOLER, translate, unless_committed};
use super::message::Message;
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

const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Behind a pooler the settings of a session are somebody else's: each transaction brings its own, in one message with
/// its begin. Without them, one whose client is gone may hold its locks, and a connection of the pooler, for ever.
static POOLED: LazyLock<Pooled> = LazyLock::new(|| {
    let with = |begin: &str, more: &[(&str, &str)]| {
        let settings = SESSION.iter().chain(more).filter(|(name, _)| !name.starts_with("tcp_"));
        settings.fold(begin.to_owned(), |text, (name, value)| format!("{text}; SET LOCAL {name} = '{value}'"))
    };
    Pooled { write: with(WRITE, &[]), write_relaxed: with(WRITE, &[RELAXED]), read: with(READ, &[]) }
});

/// How transactions begin behind a pooler.
struct Pooled {
    write: String,
    write_relaxed: String,
    read: String,
}

/// A connection that one task owns.
#[derive(Debug)]
pub(super) struct Session {
    connection: PgConnection,
    /// Behind a transaction pooler nothing outlives a transaction, prepared statements neither.
    pooled: bool,
    /// How a transaction that writes begins.
    begin: &'static str,
    /// What carries out a COMMIT that is sent now.
    commits_by: Option<CommitsBy>,
    /// The statements that were prepared under their names.
    kept: Vec<&'static str>,
}

/// What is looked at where a COMMIT was not answered.
#[derive(Debug, Clone)]
pub(super) enum CommitsBy {
    /// A process of the server. Its number is given again after its end, its start is not.
    Process { pid: i32, start: String },
    /// A transaction: behind a pooler, each is carried out by another process.
    Transaction(String),
}

const BACKEND: &str = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
const TRANSACTION: &str = "SELECT pg_current_xact_id()::text";
const IN_PROGRESS: &str = "SELECT 1 WHERE pg_xact_status($1::text::xid8) = 'in progress'";
const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2";

impl Session {
    pub(super) async fn connect(address: &Address) -> Result<Self, StoreError> {
        let pooled = address.pooled;
        match tokio::time::timeout(CONNECT_TIMEOUT, address.options.connect()).await {
            Ok(connection) => {
                let mut session = Self {
                    connection: connection.map_err(|error| connecting(error, pooled))?,
                    pooled,
                    begin: match (pooled, address.durability) {
                        (false, _) => WRITE,
                        (true, Durability::Full) => &POOLED.write,
                        (true, Durability::Relaxed) => &POOLED.write_relaxed,
                    },
                    commits_by: None,
                    kept: Vec::new(),
                };
                if !pooled {
                    let rows = session.fetch(sqlx::query(BACKEND)).await?;
                    let row = rows.first().map(Columns::of);
                    session.commits_by = row
                        .map(|mut columns| {
                            Ok::<_, StoreError>(CommitsBy::Process { pid: columns.get()?, start: columns.get()? })
                        })
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
        self.simple(self.begin).await
    }

    /// The rows of all statements of a message, one after the other. A statement sees what was committed before it began,
    /// like one that is sent alone.
    pub(super) async fn send(&mut self, message: &Message) -> Result<Vec<PgRow>, StoreError> {
        let keeps = self.keeps();
        for (statement, _) in &message.calls {
            if keeps && !self.kept.contains(&&*statement.name) {
                let prepare = sqlx::raw_sql(AssertSqlSafe(statement.preparation()));
                answered(prepare.execute(&mut self.connection)).await?.map_err(translate)?;
                self.kept.push(&statement.name);
            }
        }
        let text = AssertSqlSafe(message.text(self.begin, keeps));
        let rows = sqlx::raw_sql(text).fetch_all(&mut self.connection);
        if !message.commits {
            return answered(rows).await?.map_err(translate);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, rows).await {
            Ok(rows) => rows.map_err(unless_committed),
            Err(_) => Err(StoreError::Unknown(no_answer())),
        }
    }

    /// Whether a statement that was prepared is there for the next transaction.
    pub(super) fn keeps(&self) -> bool {
        !self.pooled
    }

    /// Several reads that see one and the same moment.
    pub(super) async fn begin_read(&mut self) -> Result<(), StoreError> {
        self.simple(if self.pooled { &POOLED.read } else { READ }).await
    }

    pub(super) async fn end_read(&mut self) -> Result<(), StoreError> {
        self.simple("COMMIT").await
    }

    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        if self.pooled {
            let rows = self.fetch(sqlx::query(TRANSACTION)).await?;
            let id = rows.first().map(|row| Columns::of(row).get()).transpose()?;
            self.commits_by = id.map(CommitsBy::Transaction);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, sqlx::raw_sql("COMMIT").execute(&mut self.connection)).await {
            Ok(done) => done.map(drop).map_err(unless_committed),
            Err(_) => Err(StoreError::Unknown(no_answer())),
        }
    }

    /// Statements without parameters.
    pub(super) async fn simple(&mut self, text: &'static str) -> Result<(), StoreError> {
        answered(sqlx::raw_sql(text).execute(&mut self.connection)).await?.map(drop).map_err(translate)
    }

    /// What carries out, or was to carry out, the COMMIT that was sent last.
    pub(super) fn commits_by(&self) -> Option<CommitsBy> {
        self.commits_by.clone()
    }

    /// Whether another session's COMMIT may still come through. The process that was to carry it out is ended.
    pub(super) async fn is_open(&mut self, commit: &CommitsBy) -> Result<bool, StoreError> {
        let rows = match commit {
            CommitsBy::Process { pid, start } => self.fetch(sqlx::query(END).bind(pid).bind(start)).await?,
            CommitsBy::Transaction(id) => self.read(sqlx::query(IN_PROGRESS).bind(id)).await?,
        };
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
        _ => match translate(error) {
            // Nothing was asked yet that could be to blame.
            StoreError::Corrupt(text) => StoreError::Open(text),
            other => other,
        },
    }
}
