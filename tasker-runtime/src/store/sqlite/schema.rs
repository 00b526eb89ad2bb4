//! The schema of the file, from nothing to the newest.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::error::translate;
use crate::store::StoreError;

/// The migrations, oldest first: version, name, text.
const MIGRATIONS: &[(i64, &str, &str)] = &[(1, "tasks", include_str!("../../../../migrations/sqlite/0001_tasks.sql"))];
/// A name that no migrations of the application's own use.
const MIGRATIONS_TABLE: &str = "tasker_migrations";
/// SQLite before this version can damage a WAL file that two connections write.
const VERSION_MIN: (u32, u32, u32) = (3, 51, 3);

/// Refuses a library that is too old.
pub(super) async fn check_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let text: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await.map_err(translate)?;
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    let version = (part(), part(), part());
    if version < VERSION_MIN {
        let (a, b, c) = VERSION_MIN;
        return Err(StoreError::Open(format!("SQLite {text} is linked in; {a}.{b}.{c} or later is needed")));
    }
    Ok(())
}

/// Brings the schema up to date.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    if is_current(connection).await? {
        return Ok(());
    }
    let migrations = MIGRATIONS
        .iter()
        .map(|&(version, name, text)| {
            let text = sqlx::SqlSafeStr::into_sql_str(text);
            Migration::new(version, name.into(), MigrationType::Simple, text, false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    // Of several processes that open a new file at once, one migrates it.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(translate)?;
    if !is_current(&mut transaction).await? {
        migrator.run_direct(None, &mut *transaction, false).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => translate(error),
            other => StoreError::Open(format!("the schema cannot be brought up to date: {other}")),
        })?;
    }
    transaction.commit().await.map_err(translate)
}

/// Whether the file has every migration that this binary knows.
async fn is_current(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
    let found = schema_version(connection).await?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    Ok(found == known)
}

/// Deletes what ANALYZE found, and tells whether there was any: a connection that is open still believes it.
///
/// Statistics of a moment when the tables were small make SQLite begin an `UPDATE .. FROM` with the table instead of
/// the few rows that are given, which takes for ever once it has grown. The plans that are tested have none.
pub(super) async fn forget_statistics(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let find = "SELECT 'DROP TABLE ' || name FROM sqlite_schema WHERE name IN ('sqlite_stat1', 'sqlite_stat4')";
    let drops: Vec<String> = sqlx::query_scalar(find).fetch_all(&mut *connection).await.map_err(translate)?;
    for drop in &drops {
        match sqlx::query(AssertSqlSafe(drop.as_str())).execute(&mut *connection).await.map_err(translate) {
            Ok(_) => {}
            Err(StoreError::ReadOnly(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(!drops.is_empty())
}

/// The newest migration that the file has; 0 for an empty file.
pub(super) async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let table: Option<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE name = ?")
        .bind(MIGRATIONS_TABLE)
        .fetch_optional(&mut *connection)
        .await
        .map_err(translate)?;
    if table.is_none() {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM tasker_migrations")
        .fetch_one(connection)
        .await
        .map_err(translate)
}
