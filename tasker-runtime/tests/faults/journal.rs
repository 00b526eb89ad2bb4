//! What handlers say they did: a file outside the database, written by single appends that survive `kill -9`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Writes one line. A single `write` to a file opened for appending is never torn by the death of the process.
pub(crate) fn note(path: &Path, word: &str, task: &str, step: &str, attempt: u32) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{word} {task} {step} {attempt}\n").as_bytes()).unwrap();
}

/// The attempts of each (task, step) that began, and those that came to their end, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) began: BTreeMap<(String, String), Vec<u32>>,
    pub(crate) ended: BTreeMap<(String, String), Vec<u32>>,
}

impl Journal {
    pub(crate) fn read(path: &Path) -> Self {
        let mut journal = Self::default();
        for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [word, task, step, attempt] = words[..] else { panic!("a torn line: {line:?}") };
            let list = if word == "begin" { &mut journal.began } else { &mut journal.ended };
            list.entry((task.to_owned(), step.to_owned())).or_default().push(attempt.parse().unwrap());
        }
        journal
    }
}

/// How many lines there are: a cheap sign of progress.
pub(crate) fn lines(path: &Path) -> usize {
    std::fs::read(path).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}
