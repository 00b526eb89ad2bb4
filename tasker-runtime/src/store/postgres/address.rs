//! Where the server is, and how its sessions are set: a URL of which the password is never shown.

use std::fmt;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::Durability;
use super::lane::Silence;
use crate::store::StoreError;

/// Statements that a session keeps prepared.
const STATEMENTS_MAX: usize = 256;
/// What a session is told when it begins. A statement, a wait for a lock and a transaction that nobody goes on with all
/// come to an end; statements have fixed texts, so they are planned once; and what the planner believes of tables that
/// grow and shrink within seconds must not lead it away from the indexes that were made for each statement.
pub(super) const SESSION: &[(&str, &str)] = &[
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];
/// What is said to it as well where the last commits may be lost with the server.
pub(super) const RELAXED: (&str, &str) = ("synchronous_commit", "off");
/// Parameters of a URL that are understood, beside `options[..]`.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// Says that a transaction pooler is in between: `pooler=true`, or as other tools write it.
const POOLER: &[&str] = &["pooler", "pgbouncer"];

/// Where the server is, and how its sessions are set.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) options: PgConnectOptions,
    /// A transaction pooler is in between: nothing outlives a transaction.
    pub(super) pooled: bool,
    pub(super) durability: Durability,
    /// Shared by all connections of a store.
    pub(super) silence: Silence,
}

impl Address {
    pub(super) fn parse(url: &str, durability: Durability) -> Result<Self, StoreError> {
        let bad =
            |what: String| StoreError::Open(format!("{what}; write `postgres://USER:PASSWORD@HOST:5432/DATABASE`"));
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(bad("the database URL does not begin with `postgres://`".to_owned()));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut kept, mut pooled) = (Vec::new(), false);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if POOLER.contains(&key) {
                pooled = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err(bad(format!("`{key}` in the database URL is `true` or `false`"))),
                };
            } else if PARAMETERS.contains(&key) || key.starts_with("options[") || key.starts_with("options%5B") {
                kept.push(pair);
            } else {
                return Err(bad(format!("the database URL has a parameter that means nothing here: `{key}`")));
            }
        }
        let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        // The driver's error tells what is wrong, and never the text.
        let mut options = PgConnectOptions::from_str(&url)
            .map_err(|error| bad(format!("the database URL cannot be read: {error}")))?
            .disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name("tasker");
        }
        if pooled {
            options = options.statement_cache_capacity(0);
        } else {
            options = options.statement_cache_capacity(STATEMENTS_MAX).options(SESSION.iter().copied());
            if durability == Durability::Relaxed {
                options = options.options([RELAXED]);
            }
        }
        Ok(Self { options, pooled, durability, silence: Silence::default() })
    }
}

impl fmt::Display for Address {
    /// The URL without its password and parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let database = options.get_database().unwrap_or(options.get_username());
        match options.get_socket() {
            Some(folder) => write!(f, "postgres://{}@/{database}?host={}", options.get_username(), folder.display()),
            None => {
                let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
                write!(f, "postgres://{user}@{host}:{port}/{database}")
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, StoreError> {
        Address::parse(url, Durability::Full)
    }

    #[test]
    fn the_password_is_never_shown() {
        for url in [
            "postgres://ada:s3cret@db.example:5433/work",
            "postgresql://ada@db.example:5433/work?password=s3cret",
            "postgres://ada:s3cret@db.example:5433/work?pooler=true&sslmode=require",
        ] {
            let address = parse(url).unwrap();
            assert_eq!(address.to_string(), "postgres://ada@db.example:5433/work");
            assert_eq!(format!("{address:?}"), "Address(postgres://ada@db.example:5433/work)");
        }
        for url in [
            "postgres://ada:s3cret@db.example:port/work",
            "postgres://ada:s3cret@db.example/work?colour=s3cret",
            "postgres://ada:s3cret@db.example/work?sslmode=s3cret&pooler=s3cret",
            "mysql://ada:s3cret@db.example/work",
        ] {
            let told = parse(url).unwrap_err().to_string();
            assert!(!told.contains("s3cret"), "{told}");
            assert!(told.contains("write `postgres://USER:PASSWORD@HOST:5432/DATABASE`"), "{told}");
        }
    }

    #[test]
    fn behind_a_pooler_nothing_outlives_a_transaction() {
        for url in ["postgres://a@h/d?pooler=true", "postgres://a@h/d?pgbouncer=true&application_name=x"] {
            let address = parse(url).unwrap();
            assert!(address.pooled && address.options.get_options().is_none());
        }
        let address = parse("postgres://a@h/d").unwrap();
        assert!(!address.pooled);
        assert!(address.options.get_options().unwrap().contains("lock_timeout=10s"));
    }
}
