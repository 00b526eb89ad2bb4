//! Statements: prepared once, run for one row after the other on the thread that owns the connection.

use rusqlite::{CachedStatement, Connection, Row, Statement, ToSql};

use super::error::translate;
use super::rows::Columns;
use crate::store::StoreError;

/// Runs the statement for each of these rows; tells how many rows of the table it touched.
pub(super) fn execute<T>(
    connection: &Connection,
    sql: &str,
    rows: &[T],
    bind: impl Fn(&T, &mut Binder<'_, '_>),
) -> Result<u64, StoreError> {
    let mut touched = 0;
    if rows.is_empty() {
        return Ok(touched);
    }
    let mut statement = prepare(connection, sql)?;
    for row in rows {
        Binder::bind(&mut statement, |to| bind(row, to))?;
        touched += statement.raw_execute().map_err(translate)? as u64;
    }
    Ok(touched)
}

/// The same, for rows that are known to be there: what was loaded under the lock that is still held is found as it was,
/// or the file is damaged.
pub(super) fn execute_all<T>(
    connection: &Connection,
    sql: &str,
    rows: &[T],
    bind: impl Fn(&T, &mut Binder<'_, '_>),
) -> Result<(), StoreError> {
    let touched = execute(connection, sql, rows, bind)?;
    if touched == rows.len() as u64 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("{touched} of {} rows were as they had been loaded", rows.len())))
}

/// Runs the statement once.
pub(super) fn execute_one(
    connection: &Connection,
    sql: &str,
    bind: impl Fn(&mut Binder<'_, '_>),
) -> Result<u64, StoreError> {
    execute(connection, sql, &[()], |(), to| bind(to))
}

/// Runs the query for each of these keys; gives what is read of each row that it finds.
pub(super) fn select<K, T>(
    connection: &Connection,
    sql: &str,
    keys: &[K],
    bind: impl Fn(&K, &mut Binder<'_, '_>),
    mut read: impl FnMut(&mut Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::with_capacity(keys.len());
    if keys.is_empty() {
        return Ok(found);
    }
    let mut statement = prepare(connection, sql)?;
    for key in keys {
        Binder::bind(&mut statement, |to| bind(key, to))?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(translate)? {
            found.push(read(&mut Columns::of(row))?);
        }
    }
    Ok(found)
}

/// Runs the query once.
pub(super) fn select_all<T>(
    connection: &Connection,
    sql: &str,
    bind: impl Fn(&mut Binder<'_, '_>),
    read: impl FnMut(&mut Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    select(connection, sql, &[()], |(), to| bind(to), read)
}

/// The first row of a query, if there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    bind: impl Fn(&mut Binder<'_, '_>),
    read: impl FnOnce(&mut Columns<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = prepare(connection, sql)?;
    Binder::bind(&mut statement, bind)?;
    let mut rows = statement.raw_query();
    let row: Option<&Row<'_>> = rows.next().map_err(translate)?;
    row.map(|row| read(&mut Columns::of(row))).transpose()
}

/// Nothing to bind.
pub(super) fn nothing(_: &mut Binder<'_, '_>) {}

fn prepare<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>, StoreError> {
    #[cfg(test)]
    super::tests::plan::note(connection, sql);
    connection.prepare_cached(sql).map_err(translate)
}

/// Binds values one after the other; the first that can't be bound fails the statement.
pub(super) struct Binder<'s, 'c> {
    statement: &'s mut Statement<'c>,
    bound: usize,
    failed: Option<rusqlite::Error>,
}

impl<'s, 'c> Binder<'s, 'c> {
    /// Every place is bound each time: a statement keeps what it was bound to before.
    fn bind(statement: &'s mut Statement<'c>, bind: impl FnOnce(&mut Self)) -> Result<(), StoreError> {
        let mut binder = Self { statement, bound: 0, failed: None };
        bind(&mut binder);
        if let Some(error) = binder.failed {
            return Err(StoreError::Corrupt(format!("a value cannot be bound: {error}")));
        }
        let places = binder.statement.parameter_count();
        if binder.bound == places {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!("{} values for {places} places", binder.bound)))
    }

    pub(super) fn add(&mut self, value: impl ToSql) -> &mut Self {
        self.bound += 1;
        if self.failed.is_none() {
            self.failed = self.statement.raw_bind_parameter(self.bound, value).err();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::value;
    use super::*;

    fn in_memory() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)").unwrap();
        connection
    }

    fn rows(connection: &Connection) -> Vec<i64> {
        select_all(connection, "SELECT a FROM t ORDER BY a", nothing, value).unwrap()
    }

    fn bind(value: &i64, to: &mut Binder<'_, '_>) {
        to.add(*value);
    }

    #[test]
    fn each_row_is_written_and_read() {
        let connection = in_memory();
        assert_eq!(execute(&connection, "INSERT INTO t VALUES (?)", &[7, 8], bind).unwrap(), 2);
        assert_eq!(rows(&connection), [1, 2, 7, 8]);
        let sql = "SELECT a FROM t WHERE a = ?";
        assert_eq!(select(&connection, sql, &[8, 9, 1], bind, value::<i64>).unwrap(), [8, 1]);
        assert_eq!(first(&connection, sql, |to| bind(&9, to), value::<i64>).unwrap(), None);
        assert_eq!(first(&connection, sql, |to| bind(&2, to), value::<i64>).unwrap(), Some(2));
    }

    #[test]
    fn a_row_that_was_not_as_it_had_been_loaded_is_an_error() {
        let connection = in_memory();
        let sql = "DELETE FROM t WHERE a = ?";
        let error = execute_all(&connection, sql, &[1, 3], bind).unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 rows were as they had been loaded");
        execute_all(&connection, sql, &[2], bind).unwrap();
        assert_eq!(rows(&connection), [0; 0]);
    }

    #[test]
    fn a_place_that_was_forgotten_is_an_error() {
        let connection = in_memory();
        for (sql, told) in
            [("INSERT INTO t VALUES (7)", "1 values for 0"), ("INSERT INTO t VALUES (? + ?)", "1 values for 2")]
        {
            let error = execute(&connection, sql, &[7], bind).unwrap_err().to_string();
            assert!(error.contains(told) || error.contains("cannot be bound"), "{error}");
        }
        assert_eq!(rows(&connection), [1, 2]);
    }
}
