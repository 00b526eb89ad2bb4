//! PostgreSQL's errors, by what the engine can do about them.

use sqlx::postgres::PgDatabaseError;

use crate::store::StoreError;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The same call may succeed a moment later.
    Passing,
    /// The same, but the server ends the connection: a COMMIT that was answered so may have been carried out.
    Lost,
    Full,
    ReadOnly,
    /// The connection is refused, or what is connected to is not what it should be; with what to do about it.
    Open(&'static str),
    /// The statement is wrong, or the rows are.
    Fatal,
}

/// What to do where a pooler is in between of which the URL says nothing.
pub(super) const POOLER: &str = "behind a transaction pooler, add `?pooler=true` to the database URL";

/// Codes and classes of codes; of several that fit, the longest counts.
const CLASSES: &[(&str, Class)] = &[
    // Conflicts with other transactions, and time that ran out.
    ("40001", Class::Passing),
    ("40P01", Class::Passing),
    ("40003", Class::Lost),
    ("55P03", Class::Passing),
    ("57014", Class::Passing),
    // A plan that was made before a migration.
    ("0A000", Class::Passing),
    // The server or the connection is away.
    ("08", Class::Lost),
    ("57P", Class::Lost),
    ("25P03", Class::Lost),
    ("58", Class::Passing),
    // Memory, connections, disk.
    ("53", Class::Passing),
    ("53300", Class::Passing),
    ("53100", Class::Full),
    ("25006", Class::ReadOnly),
    // Who may come in, and what is found there.
    ("28P01", Class::Open("check user and password in the database URL")),
    ("28", Class::Open("the server does not let this user in: check the database URL, and pg_hba.conf of the server")),
    ("3D000", Class::Open("make the database (CREATE DATABASE ..), or name another one in the database URL")),
    (
        "42501",
        Class::Open(
            "the user needs more rights: let it own the schema `tasker`, or GRANT CREATE ON DATABASE to it and run \
             `db migrate`",
        ),
    ),
    ("42P01", Class::Open("the schema is not the one of this program: run `db migrate`")),
    ("42703", Class::Open("the schema is not the one of this program: run `db migrate`")),
    ("3F000", Class::Open("the schema is not the one of this program: run `db migrate`")),
    // A pooler that gives each transaction another session.
    ("26000", Class::Open(POOLER)),
    ("42P05", Class::Open(POOLER)),
];

fn class(code: &str) -> Class {
    let fits = CLASSES.iter().filter(|(start, _)| code.starts_with(start));
    fits.max_by_key(|(start, _)| start.len()).map_or(Class::Fatal, |&(_, class)| class)
}

fn class_of(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Database(error) => error.code().map_or(Class::Fatal, |code| class(&code)),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Class::Lost,
        sqlx::Error::Tls(_) => {
            Class::Open("`sslmode=disable` goes without encryption; `sslrootcert=FILE` names the server's authority")
        }
        sqlx::Error::Configuration(_) => Class::Open("check the database URL"),
        _ => Class::Fatal,
    }
}

/// Sorts an error of PostgreSQL, or of the driver, by what can be done about it.
pub(super) fn translate(error: sqlx::Error) -> StoreError {
    let text = describe(&error);
    match class_of(&error) {
        Class::Passing | Class::Lost => StoreError::Unavailable(text),
        Class::Full => StoreError::Full(text),
        Class::ReadOnly => StoreError::ReadOnly(text),
        Class::Open(advice) => StoreError::Open(format!("{text}; {advice}")),
        Class::Fatal => StoreError::Corrupt(text),
    }
}

/// The same for an error of COMMIT, or of a statement that is a transaction of its own: where the connection was lost,
/// it may have been carried out.
pub(super) fn unless_committed(error: sqlx::Error) -> StoreError {
    match class_of(&error) {
        Class::Lost => StoreError::Unknown(describe(&error)),
        _ => translate(error),
    }
}

/// What the server says of it, with its code; never the URL.
fn describe(error: &sqlx::Error) -> String {
    let sqlx::Error::Database(inner) = error else { return error.to_string() };
    let mut text = inner.message().to_owned();
    if let Some(code) = inner.code() {
        text.push_str(&format!(" ({code})"));
    }
    if let Some(server) = inner.try_downcast_ref::<PgDatabaseError>()
        && let Some(detail) = server.hint().or(server.detail()).filter(|_| class(server.code()) == Class::Fatal)
    {
        text.push_str(&format!(": {detail}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// An error with a code of PostgreSQL.
    #[derive(Debug)]
    struct Coded(&'static str);

    impl fmt::Display for Coded {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an error")
        }
    }

    impl Error for Coded {}

    impl DatabaseError for Coded {
        fn message(&self) -> &str {
            "an error"
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }
        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn coded(code: &'static str) -> sqlx::Error {
        sqlx::Error::Database(Box::new(Coded(code)))
    }

    fn lost() -> sqlx::Error {
        sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())
    }

    #[test]
    fn each_code_says_what_can_be_done() {
        for (code, wanted) in [
            ("40001", "D001"),
            ("40P01", "D001"),
            ("55P03", "D001"),
            ("57014", "D001"),
            ("08006", "D001"),
            ("57P01", "D001"),
            ("57P03", "D001"),
            ("25P03", "D001"),
            ("53200", "D001"),
            ("53300", "D001"),
            ("53100", "D003"),
            ("58030", "D001"),
            ("25006", "D004"),
            ("28P01", "D009"),
            ("28000", "D009"),
            ("3D000", "D009"),
            ("42501", "D009"),
            ("42P01", "D009"),
            ("26000", "D009"),
            ("23505", "D007"),
            ("23514", "D007"),
            ("42601", "D007"),
            ("XX001", "D007"),
        ] {
            assert_eq!(translate(coded(code)).code(), wanted, "code {code}");
        }
        assert_eq!(translate(lost()).code(), "D001");
        assert_eq!(translate(sqlx::Error::RowNotFound).code(), "D007");
    }

    #[test]
    fn a_connection_that_is_lost_at_a_commit_leaves_it_unknown() {
        for code in ["08006", "08007", "57P01", "57P02", "40003"] {
            assert_eq!(unless_committed(coded(code)).code(), "D002", "code {code}");
        }
        assert_eq!(unless_committed(lost()).code(), "D002");
        for (code, wanted) in
            [("40001", "D001"), ("40P01", "D001"), ("57014", "D001"), ("23505", "D007"), ("53100", "D003")]
        {
            assert_eq!(unless_committed(coded(code)).code(), wanted, "the server says that it did not: {code}");
        }
    }

    #[test]
    fn an_error_has_its_code_and_what_to_do() {
        let text = translate(coded("28P01")).to_string();
        assert_eq!(text, "cannot open the database: an error (28P01); check user and password in the database URL");
    }
}
