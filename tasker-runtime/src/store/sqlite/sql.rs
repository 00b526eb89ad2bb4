//! Statements over many rows: a few sizes, filled with NULL, so that each text is prepared once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection};

use crate::store::StoreError;

use super::error::{translate, unless_committed};
use super::writer::commit;

/// The most rows of one statement; with the columns of the widest table well below SQLite's 32,766 parameters.
pub(super) const ROWS_MAX: usize = 256;

/// Rows for `VALUES`: `add` binds the columns of one row after the other.
pub(super) struct Values<'q> {
    before: &'q str,
    after: &'q str,
    columns: usize,
}

impl<'q> Values<'q> {
    /// `before` + `(?, ?), (?, ?)` + `after`, with this many columns a row.
    pub(super) const fn new(before: &'q str, columns: usize, after: &'q str) -> Self {
        Self { before, after, columns }
    }

    /// An insert; rows whose first column is NULL are only there to fill the statement.
    pub(super) const fn insert(before: &'q str, columns: usize) -> Self {
        Self { before, after: ") WHERE column1 IS NOT NULL", columns }
    }

    pub(super) fn text(&self, places: usize) -> String {
        let mut text = String::with_capacity(self.before.len() + self.after.len() + places * (self.columns * 2 + 3));
        self.write(places, &mut text);
        text
    }

    fn write(&self, places: usize, text: &mut String) {
        text.push_str(self.before);
        for place in 0..places {
            text.push_str(if place == 0 { "(" } else { ",(" });
            for column in 0..self.columns {
                text.push_str(if column == 0 { "?" } else { ",?" });
            }
            text.push(')');
        }
        text.push_str(self.after);
    }

    /// Runs the statement for all rows; tells how many rows it touched.
    pub(super) async fn execute<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut Binder),
    ) -> Result<u64, StoreError> {
        self.execute_with(connection, |_| (), rows, bind).await
    }

    /// The same for a statement with places before its rows: `head` binds them.
    pub(super) async fn execute_with<T>(
        &self,
        connection: &mut SqliteConnection,
        head: impl Fn(&mut Binder),
        rows: &[T],
        bind: impl Fn(&T, &mut Binder),
    ) -> Result<u64, StoreError> {
        let mut touched = 0;
        for chunk in rows.chunks(ROWS_MAX) {
            let query = sqlx::query_with(AssertSqlSafe(self.text(class(chunk.len()))), bound(&head, chunk, &bind)?);
            touched += query.execute(&mut *connection).await.map_err(translate)?.rows_affected();
        }
        Ok(touched)
    }

    /// Runs the statement for all rows; gives what it returns.
    pub(super) async fn fetch<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut Binder),
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut found = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(ROWS_MAX) {
            // The places after the last row stay unbound, which is NULL.
            let query = sqlx::query_with(AssertSqlSafe(self.text(class(chunk.len()))), bound(|_| (), chunk, &bind)?);
            found.extend(query.fetch_all(&mut *connection).await.map_err(translate)?);
        }
        Ok(found)
    }
}

/// Statements that are sent to SQLite's thread together, those with about as many rows in one text.
#[derive(Default)]
pub(super) struct Script {
    parts: BTreeMap<usize, Part>,
    rows: u64,
}

#[derive(Default)]
struct Part {
    text: String,
    binder: Binder,
}

impl Script {
    /// Adds a statement for these rows; none where there are none.
    pub(super) fn add<T>(
        &mut self,
        values: &Values<'_>,
        rows: &[T],
        bind: impl Fn(&T, &mut Binder),
    ) -> Result<(), StoreError> {
        for chunk in rows.chunks(ROWS_MAX) {
            let places = class(chunk.len());
            let part = self.parts.entry(places).or_default();
            if !part.text.is_empty() {
                part.text.push(';');
            }
            values.write(places, &mut part.text);
            chunk.iter().for_each(|row| bind(row, &mut part.binder));
            for _ in 0..(places - chunk.len()) * values.columns {
                part.binder.add(None::<i64>);
            }
            if let Some(reason) = part.binder.failed.take() {
                return Err(StoreError::Corrupt(reason));
            }
        }
        self.rows += rows.len() as u64;
        Ok(())
    }

    /// Runs the statements and commits, where together they wrote as many rows as they are for, on top of the rows that
    /// the connection had written before. The check and COMMIT travel with the last statements: a commit of few rows is
    /// one errand to SQLite's thread.
    pub(super) async fn commit(self, connection: &mut SqliteConnection, before: i64) -> Result<(), StoreError> {
        let wanted = i64::try_from(self.rows).ok().and_then(|rows| rows.checked_add(before));
        let mut parts = self.parts.into_values();
        let Some(mut last) = parts.next_back() else { return commit(connection).await };
        for part in parts {
            let query = sqlx::query_with(AssertSqlSafe(part.text), part.binder.arguments);
            query.execute(&mut *connection).await.map_err(translate)?;
        }
        last.text.push_str(CHECK_AND_COMMIT);
        last.binder.add(wanted);
        if let Some(reason) = last.binder.failed {
            return Err(StoreError::Corrupt(reason));
        }
        let query = sqlx::query_with(AssertSqlSafe(last.text), last.binder.arguments);
        match query.execute(&mut *connection).await.map_err(unless_committed) {
            Err(StoreError::Corrupt(text)) if text.contains(NOT_AS_LOADED) => {
                Err(StoreError::Corrupt("some rows were not as they had been loaded".into()))
            }
            outcome => outcome.map(drop),
        }
    }
}

/// Every row was as it had been loaded under the lock that is still held, or the file is damaged: then it is not
/// committed. SQLite has no statement that fails on purpose, but the least integer has no absolute value.
const CHECK_AND_COMMIT: &str = ";SELECT abs(iif(total_changes() IS ?, 0, -9223372036854775807 - 1));COMMIT";
/// What SQLite says of it.
const NOT_AS_LOADED: &str = "integer overflow";

/// The number of places of a statement for this many rows: few different ones, so that each is prepared once and kept.
fn class(rows: usize) -> usize {
    match rows {
        0..=32 => rows.next_power_of_two(),
        _ => rows.next_multiple_of(if rows <= 128 { 32 } else { 64 }),
    }
}

/// Every row was as it had been loaded under the lock that is still held; or the file is damaged.
pub(super) fn expect(touched: u64, wanted: u64) -> Result<(), StoreError> {
    if touched == wanted {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("{touched} of {wanted} rows were as they had been loaded")))
}

fn bound<T>(
    head: impl Fn(&mut Binder),
    rows: &[T],
    bind: impl Fn(&T, &mut Binder),
) -> Result<SqliteArguments, StoreError> {
    let mut binder = Binder::default();
    head(&mut binder);
    for row in rows {
        bind(row, &mut binder);
    }
    match binder.failed {
        None => Ok(binder.arguments),
        Some(reason) => Err(StoreError::Corrupt(reason)),
    }
}

/// Binds values one after the other; the first that can't be bound fails the statement.
#[derive(Default)]
pub(super) struct Binder {
    arguments: SqliteArguments,
    failed: Option<String>,
}

impl Binder {
    pub(super) fn add<'t, T: sqlx::Encode<'t, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + 't>(
        &mut self,
        value: T,
    ) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            let mut reason = self.failed.take().unwrap_or_default();
            // Writing to a `String` cannot fail.
            let _ = write!(reason, "a value cannot be bound: {error}; ");
            self.failed = Some(reason);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_room_for_its_rows_and_there_are_few() {
        let classes: std::collections::BTreeSet<usize> = (1..=ROWS_MAX).map(class).collect();
        assert!(
            (1..=ROWS_MAX).all(|rows| class(rows) >= rows && class(rows) <= ROWS_MAX && class(rows) < rows * 2 + 1)
        );
        assert!(classes.len() <= 12, "{classes:?}");
    }

    #[test]
    fn the_text_has_a_place_for_each_value() {
        assert_eq!(
            Values::new("insert into t values ", 2, " returning a").text(2),
            "insert into t values (?,?),(?,?) returning a"
        );
    }

    async fn in_memory() -> SqliteConnection {
        use sqlx::Connection as _;

        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)")
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// Deletes one row of `t` for each of these, and inserts 10, in one transaction.
    async fn replace(connection: &mut SqliteConnection, gone: &[i64]) -> Result<(), StoreError> {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.unwrap();
        let before = sqlx::query_scalar("SELECT total_changes()").fetch_one(&mut *connection).await.unwrap();
        let mut script = Script::default();
        let bind = |value: &i64, to: &mut Binder| _ = to.add(*value);
        script.add(&Values::new("DELETE FROM t WHERE a IN (VALUES ", 1, ")"), gone, bind)?;
        script.add(&Values::insert("INSERT INTO t SELECT * FROM (VALUES ", 1), &[10], bind)?;
        script.commit(connection, before).await
    }

    async fn rows(connection: &mut SqliteConnection) -> Vec<i64> {
        sqlx::query_scalar("SELECT a FROM t ORDER BY a").fetch_all(connection).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_found_as_it_had_been_loaded_is_committed() {
        let connection = &mut in_memory().await;
        replace(connection, &[1, 2]).await.unwrap();
        assert!(sqlx::query("ROLLBACK").execute(&mut *connection).await.is_err(), "the transaction is over");
        assert_eq!(rows(connection).await, [10]);
    }

    #[tokio::test]
    async fn nothing_is_committed_where_a_row_was_not_as_it_had_been_loaded() {
        let connection = &mut in_memory().await;
        for gone in [&[3][..], &[1, 3], &[1, 2, 3]] {
            let error = replace(connection, gone).await.unwrap_err();
            assert_eq!(error.to_string(), "some rows were not as they had been loaded");
            sqlx::query("ROLLBACK").execute(&mut *connection).await.unwrap();
            assert_eq!(rows(connection).await, [1, 2]);
        }
    }
}
