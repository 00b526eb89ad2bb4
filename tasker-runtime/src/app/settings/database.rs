//! Which database a URL means.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// An embedded one, in a file.
    File(PathBuf),
    /// On a server of PostgreSQL.
    #[cfg(feature = "postgres")]
    Server {
        /// The URL, with its password.
        url: String,
        /// The same without it.
        shown: String,
    },
}

impl Place {
    /// Whether there is a database to be opened. A server answers that itself.
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            #[cfg(feature = "postgres")]
            Self::Server { .. } => true,
        }
    }

    /// Whether a server has it.
    pub(crate) fn is_on_server(&self) -> bool {
        !matches!(self, Self::File(_))
    }

    /// How it is named on the command line, where that gives no secret away.
    pub(crate) fn argument(&self) -> Option<String> {
        match self {
            Self::File(path) => Some(path.display().to_string()),
            #[cfg(feature = "postgres")]
            Self::Server { url, shown } => (url == shown).then(|| url.clone()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Server { shown, .. } => write!(f, "{shown}"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// A database URL that this build cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadDatabase {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl BadDatabase {
    fn new(message: String, help: &str) -> Self {
        Self { code: "E303", message, help: Some(help.to_owned()) }
    }
}

const FORMS: &str = "write `sqlite://tasker.db`, `sqlite:///var/lib/app/tasker.db`, or a path; \
                     `postgres://USER:PASSWORD@HOST:5432/DATABASE` for a server";

/// What a URL or a path means; a relative path starts at `folder`.
pub(crate) fn database_place(url: &str, folder: &Path) -> Result<Place, BadDatabase> {
    let url = url.trim();
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return server(url);
    }
    file(url, folder).map(Place::File).map_err(|message| BadDatabase::new(message, FORMS))
}

#[cfg(feature = "postgres")]
fn server(url: &str) -> Result<Place, BadDatabase> {
    use crate::store::StoreError;
    use crate::store::postgres::PostgresStore;

    match PostgresStore::shown(url) {
        Ok(shown) => Ok(Place::Server { url: url.to_owned(), shown }),
        Err(StoreError::Open(text)) => {
            let (message, help) = text.split_once("; ").unwrap_or((&text, FORMS));
            Err(BadDatabase::new(message.to_owned(), help))
        }
        Err(other) => Err(BadDatabase::new(other.to_string(), FORMS)),
    }
}

#[cfg(not(feature = "postgres"))]
fn server(_: &str) -> Result<Place, BadDatabase> {
    Err(BadDatabase {
        code: "E304",
        message: "this build has no PostgreSQL store".to_owned(),
        help: Some("build it with the feature `postgres`, or use a file".to_owned()),
    })
}

/// The file of `sqlite://path`, `sqlite:path` or a plain path.
fn file(url: &str, folder: &Path) -> Result<PathBuf, String> {
    let (path, is_url) = match url.strip_prefix("sqlite:") {
        Some(rest) => (rest.strip_prefix("//").unwrap_or(rest), true),
        None => (url, false),
    };
    let (path, query) = match path.split_once('?') {
        Some((path, query)) if is_url => (path, Some(query)),
        _ => (path, None),
    };
    // `mode=rwc` is what is done anyway, and common in URLs that other tools read.
    if let Some(query) = query.filter(|query| *query != "mode=rwc") {
        return Err(format!("the database URL has parameters that mean nothing here: `?{query}`"));
    }
    if path.is_empty() {
        return Err("the database URL names no file".to_owned());
    }
    if path == ":memory:" {
        return Err("a database in memory would lose every task with the process".to_owned());
    }
    if !is_url && path.contains("://") {
        let scheme = path.split("://").next().unwrap_or_default();
        return Err(format!("there is no store for `{scheme}://`"));
    }
    if path.contains('\0') {
        return Err("the database's path holds a NUL character".to_owned());
    }
    Ok(folder.join(path))
}
