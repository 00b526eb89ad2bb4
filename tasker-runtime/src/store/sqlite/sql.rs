//! Statements over many rows: a few sizes, filled with NULL, so that each text is prepared once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection};

use crate::store::StoreError;

use super::error::translate;

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

    /// How many rows all statements are for.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Runs the statements; tells how many rows they touched.
    pub(super) async fn execute(self, connection: &mut SqliteConnection) -> Result<u64, StoreError> {
        let mut touched = 0;
        for part in self.parts.into_values() {
            let query = sqlx::query_with(AssertSqlSafe(part.text), part.binder.arguments);
            touched += query.execute(&mut *connection).await.map_err(translate)?.rows_affected();
        }
        Ok(touched)
    }
}

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
}
