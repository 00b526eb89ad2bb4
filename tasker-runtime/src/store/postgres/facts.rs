//! What the server and the schema say of themselves.

use serde::Serialize;

use super::rows::Columns;
use super::schema::schema_version;
use super::session::Session;
use crate::store::StoreError;

/// What the server and the schema say of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The version of the server.
    pub server_version: String,
    /// The newest migration that the schema has.
    pub schema_version: i64,
    /// Whether a commit is on disk when it is acknowledged: `on` or stronger, or `off`.
    pub synchronous_commit: String,
    /// Whether the server syncs its files at all.
    pub fsync: String,
    /// The bytes of the database.
    pub bytes: i64,
    /// Connections to the server, and how many it takes.
    pub connections: i64,
    /// How many connections the server takes.
    pub connections_max: i64,
    /// The seconds since the oldest transaction that is open in this database began: dead rows that it might still read
    /// cannot be cleaned up.
    pub oldest_transaction_seconds: i64,
    /// Rows of live steps that are dead and not yet cleaned up, as far as the server has counted.
    pub dead_live_steps: i64,
}

pub(super) async fn read(session: &mut Session) -> Result<Facts, StoreError> {
    let sql = "SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'), \
               pg_database_size(current_database()), (SELECT count(*) FROM pg_stat_activity), \
               current_setting('max_connections')::bigint, \
               (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::bigint FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()), \
               coalesce((SELECT n_dead_tup FROM pg_stat_user_tables WHERE schemaname = 'tasker' AND relname = 'live_steps'), 0)";
    session.begin_read().await?;
    let rows = session.fetch(sqlx::query(sql)).await?;
    let schema_version = schema_version(session).await?;
    session.end_read().await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("the server says nothing of itself".into()))?;
    let c = &mut Columns::of(row);
    Ok(Facts {
        server_version: c.get()?,
        schema_version,
        synchronous_commit: c.get()?,
        fsync: c.get()?,
        bytes: c.get()?,
        connections: c.get()?,
        connections_max: c.get()?,
        oldest_transaction_seconds: c.get()?,
        dead_live_steps: c.get()?,
    })
}
