//! What no compiler checks: sizes of files, words that don't belong in the tree, dependencies that run one way.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::run::{output_of, root, say};

/// The most lines of a file without its tests.
const LINES_MAX: usize = 600;
/// Where core may not look: it decides, others wait, log and draw lots.
const NOT_IN_CORE: &[&str] = &[
    "async fn",
    ".await",
    "tracing::",
    "HashMap",
    "SystemTime",
    "Instant::now",
    "Uuid::now",
    "crate::store",
    "crate::engine",
];
/// Which module of the runtime may not name which.
const ONE_WAY: &[(&str, &[&str])] = &[
    ("tasker-runtime/src/handler", &["crate::store", "crate::engine", "crate::cli", "crate::core", "crate::http"]),
    ("tasker-runtime/src/http", &["crate::store", "crate::engine", "crate::cli", "crate::core"]),
    ("tasker-runtime/src/store", &["crate::engine", "crate::cli", "crate::handler"]),
    ("tasker-runtime/src/engine", &["crate::cli", "crate::app"]),
];

pub(crate) fn check() -> Result<()> {
    let listed = output_of("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    let mut findings = Vec::new();
    let mut files = 0;
    for path in listed.lines().filter(|path| path.ends_with(".rs")) {
        // A file that was deleted and not yet committed is still listed.
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        files += 1;
        check_file(path, &text, &mut findings);
    }
    say(&format!("{files} files"))?;
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

fn check_file(path: &str, text: &str, findings: &mut Vec<String>) {
    let is_test = ["tests", "benches"].iter().any(|part| Path::new(path).iter().any(|at| at == *part))
        || path.ends_with("tests.rs");
    let code: Vec<&str> = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").collect();
    if !is_test && code.len() > LINES_MAX {
        findings.push(format!("{path}: {} lines, at most {LINES_MAX}", code.len()));
    }
    if path.ends_with("/mod.rs") {
        findings.push(format!("{path}: write `name.rs` beside `name/`"));
    }
    let compiled = !path.starts_with("tests/ui/") && !path.starts_with("xtask/");
    if compiled && !is_test && !text.starts_with("//!") && !text.starts_with("#!") {
        findings.push(format!("{path}: say the file's duty in a `//!` line"));
    }
    if is_test || path.starts_with("xtask/") {
        return;
    }
    let mut forbid = |words: &[&str], why: &str| {
        for (number, line) in (1..).zip(&code).filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                findings.push(format!("{path}:{number}: `{word}`: {why}"));
            }
        }
    };
    if path.starts_with("tasker-runtime/src/core") {
        forbid(NOT_IN_CORE, "core is pure");
    }
    if path.starts_with("tasker-types/src") {
        forbid(&["async fn", ".await", "std::fs", "SystemTime"], "tasker-types does no I/O");
    }
    for (module, words) in ONE_WAY {
        if path.starts_with(module) {
            forbid(words, "dependencies run one way");
        }
    }
    forbid(&["unbounded_channel"], "every queue has a bound");
}
