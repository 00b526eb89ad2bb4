//! An older way to write templates: keys with a leading colon, `limit`, a `task_handler`, callables
//! that are Rust paths. All of it is understood; each kind is warned of once, at its first place.

use super::codes::{self, Code};
use super::node::{At, Entry};
use super::report::Report;
use super::scalar::shortened;

/// What of the older dialect was met so far.
#[derive(Debug, Default)]
pub(super) struct Dialect {
    colon_keys: Tally,
    limits: Tally,
    task_handler: Tally,
    validations: Tally,
    rust_paths: Tally,
}

/// How often something was met, and where first.
#[derive(Debug, Default)]
struct Tally {
    first: Option<(At, String)>,
    count: usize,
}

impl Dialect {
    /// The key, without the leading colon that the older dialect writes.
    pub(super) fn key<'e>(&mut self, entry: &'e Entry<'_>) -> &'e str {
        match entry.key.strip_prefix(':') {
            Some(key) if entry.key_plain && !key.is_empty() => {
                self.colon_keys.note(entry.key_at, key);
                key
            }
            _ => &entry.key,
        }
    }

    /// `retry.limit` stands for `max_attempts`.
    pub(super) fn limit(&mut self, at: At) {
        self.limits.note(at, "limit");
    }

    /// A key of `task_handler` that has no effect.
    pub(super) fn without_effect(&mut self, at: At, key: &str) {
        self.task_handler.note(at, key);
    }

    /// A key of `input_validation` that nobody but the handler can check.
    pub(super) fn left_to_handler(&mut self, at: At, key: &str) {
        self.validations.note(at, key);
    }

    /// A callable that is a Rust path.
    pub(super) fn rust_path(&mut self, at: At, path: &str) {
        self.rust_paths.note(at, path);
    }

    /// Adds one warning for each kind that was met.
    pub(super) fn warn(&self, report: &mut Report) {
        self.colon_keys.warn(report, &codes::COLON_KEYS, |key, count| {
            let keys = if count == 1 { "key is" } else { "keys are" };
            (format!("{count} {keys} written with a leading colon"), format!("write `{key}:` instead of `:{key}:`"))
        });
        self.limits.warn(report, &codes::RETRY_LIMIT, |_, count| {
            let times = if count == 1 { String::new() } else { format!(" (used {count} times)") };
            (
                format!("`limit` is an older spelling of `max_attempts`{times}"),
                "write `max_attempts`; the first attempt counts".to_owned(),
            )
        });
        self.task_handler.warn(report, &codes::TASK_HANDLER, |key, _| {
            (
                format!("`{key}` of `task_handler` has no effect: steps have handlers, templates have none"),
                "remove it; of this block only `initialization.input_validation.required_fields` is used".to_owned(),
            )
        });
        self.validations.warn(report, &codes::VALIDATION_IN_HANDLER, |rule, _| {
            (
                format!("`{rule}` of `input_validation` is not enforced when a task is submitted"),
                "the first step's handler must check it; `required_fields` are enforced".to_owned(),
            )
        });
        self.rust_paths.warn(report, &codes::RUST_PATH, |_, count| {
            let callables = if count == 1 { "callable is" } else { "callables are" };
            (
                format!("{count} {callables} written as a Rust path"),
                "write the handler's name; a path leads to the handler that has it as an alias, \
                 else to one whose Rust name is its last segment"
                    .to_owned(),
            )
        });
    }
}

impl Tally {
    fn note(&mut self, at: At, word: &str) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((at, shortened(word)));
        }
    }

    /// `words` makes the message and the help of the first word that was met and the count.
    fn warn(&self, report: &mut Report, code: &Code, words: impl Fn(&str, usize) -> (String, String)) {
        let Some((at, word)) = &self.first else {
            return;
        };
        let (message, help) = words(word, self.count);
        let added = report.add(code, *at, message).help(help);
        if self.count > 1 {
            added.label("the first is here");
        }
    }
}
