//! Statements over many rows: one text for each power of two, so that each is prepared once.

use std::fmt::Write as _;

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection};

use crate::store::StoreError;

use super::error::translate;

/// The most rows of one statement; with the columns of the widest table well below SQLite's 32,766 parameters.
const ROWS_MAX: usize = 256;

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

    fn text(&self, rows: usize) -> String {
        let mut text = String::with_capacity(self.before.len() + self.after.len() + rows * (self.columns * 2 + 3));
        text.push_str(self.before);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..self.columns {
                text.push_str(if column == 0 { "?" } else { ",?" });
            }
            text.push(')');
        }
        text.push_str(self.after);
        text
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
        for chunk in chunks(rows) {
            let query = sqlx::query_with(AssertSqlSafe(self.text(chunk.len())), bound(&head, chunk, &bind)?);
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
        for chunk in chunks(rows) {
            let query = sqlx::query_with(AssertSqlSafe(self.text(chunk.len())), bound(|_| (), chunk, &bind)?);
            found.extend(query.fetch_all(&mut *connection).await.map_err(translate)?);
        }
        Ok(found)
    }
}

/// Every row was as it had been loaded under the lock that is still held; or the file is damaged.
pub(super) fn expect(touched: u64, wanted: usize, what: &str) -> Result<(), StoreError> {
    if touched == wanted as u64 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("{touched} of {wanted} {what} were as they had been loaded")))
}

fn bound<T>(
    head: impl Fn(&mut Binder),
    rows: &[T],
    bind: impl Fn(&T, &mut Binder),
) -> Result<SqliteArguments, StoreError> {
    let mut binder = Binder { arguments: SqliteArguments::default(), failed: None };
    head(&mut binder);
    for row in rows {
        bind(row, &mut binder);
    }
    match binder.failed {
        None => Ok(binder.arguments),
        Some(reason) => Err(StoreError::Corrupt(reason)),
    }
}

/// Chunks whose lengths are powers of two, the largest first.
fn chunks<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let length = rest.len().checked_ilog2().map(|log| (1usize << log).min(ROWS_MAX))?;
        let (chunk, after) = rest.split_at(length);
        rest = after;
        Some(chunk)
    })
}

/// Binds values one after the other; the first that can't be bound fails the statement.
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
    fn chunks_are_powers_of_two_and_cover_everything() {
        for length in 0..1000 {
            let rows: Vec<usize> = (0..length).collect();
            let parts: Vec<&[usize]> = chunks(&rows).collect();
            assert!(parts.iter().all(|part| part.len().is_power_of_two() && part.len() <= ROWS_MAX));
            assert_eq!(parts.concat(), rows);
        }
    }

    #[test]
    fn the_text_has_a_place_for_each_value() {
        assert_eq!(
            Values::new("insert into t values ", 2, " returning a").text(2),
            "insert into t values (?,?),(?,?) returning a"
        );
    }
}
