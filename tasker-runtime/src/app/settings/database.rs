//! Which file a database URL means.

use std::path::{Path, PathBuf};

/// A database URL that this build cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadDatabase {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

const FORMS: &str = "write `sqlite://tasker.db`, `sqlite:///var/lib/app/tasker.db`, or a path";

/// The file of `sqlite://path`, `sqlite:path` or a plain path; a relative one starts at `folder`.
pub(crate) fn database_file(url: &str, folder: &Path) -> Result<PathBuf, BadDatabase> {
    let bad = |message: String| BadDatabase { code: "E303", message, help: Some(FORMS.to_owned()) };
    let url = url.trim();
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Err(BadDatabase {
            code: "E304",
            message: "this build has no PostgreSQL store".to_owned(),
            help: Some(format!("the embedded SQLite database needs no server: {FORMS}")),
        });
    }
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
        return Err(bad(format!("the database URL has parameters that mean nothing here: `?{query}`")));
    }
    if path.is_empty() {
        return Err(bad("the database URL names no file".to_owned()));
    }
    if path == ":memory:" {
        return Err(bad("a database in memory would lose every task with the process".to_owned()));
    }
    if !is_url && path.contains("://") {
        let scheme = path.split("://").next().unwrap_or_default();
        return Err(bad(format!("there is no store for `{scheme}://`")));
    }
    if path.contains('\0') {
        return Err(bad("the database's path holds a NUL character".to_owned()));
    }
    Ok(folder.join(path))
}
