//! What a task is submitted with, and what a step is completed with: JSON, a file of it, or standard input.

use std::fs::File;
use std::io::{Read, stdin};

use serde_json::Value;

use super::problem::Problem;

/// The longest input that is read at all; the engine's own limit is smaller, and says so better.
const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The value that this option names.
pub(crate) fn read(text: &str, option: &'static str) -> Result<Value, Problem> {
    let (json, place) = match text.strip_prefix('@') {
        Some(file) => {
            let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
            (take(opened, file)?, file.to_owned())
        }
        None if text == "-" => (take(stdin().lock(), "standard input")?, "standard input".to_owned()),
        None => (text.to_owned(), option.to_owned()),
    };
    serde_json::from_str(&json).map_err(|error| {
        let problem = Problem::new("E307", format!("{place} is not JSON: {error}"));
        if json == text && std::path::Path::new(text).is_file() {
            return problem.with_help(format!("to read the file, write `@{text}`"));
        }
        problem.with_help("give JSON such as '{\"customer\": {\"id\": 1}}', `@FILE`, or `-` for standard input")
    })
}

fn take(from: impl Read, place: &str) -> Result<String, Problem> {
    let mut text = String::new();
    from.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unreadable(place, &error))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > BYTES_MAX {
        return Err(Problem::new("E204", format!("{place} has more than {BYTES_MAX} bytes; at most 1 MiB are stored")));
    }
    Ok(text)
}

fn unreadable(place: &str, error: &std::io::Error) -> Problem {
    Problem::new("E308", format!("{place} cannot be read: {error}"))
}
