//! The table of names in the users' documents: each line names what shows it, and that is there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::pages::{ARCHITECTURE, ROOT, quoted, read, sources};
use crate::shown::tests;

/// The lines of a table: what they show, where it is here, what shows it.
fn lines(page: &str) -> impl Iterator<Item = [&str; 3]> {
    page.lines().filter(|line| !line.starts_with("| they show")).filter_map(cells)
}

fn cells(line: &str) -> Option<[&str; 3]> {
    let row = line.strip_prefix("| ")?.strip_suffix('|')?;
    let (rest, shown) = row.rsplit_once(" | ")?;
    // A bar that is text is escaped, and stands within the first cell.
    let (shows, here) = rest.rsplit_once(" | ")?;
    Some([shows, here, shown.trim()])
}

/// What the page says of names, and all code that it can speak of.
fn section(page: &str) -> &str {
    page.split("\n## ").find(|part| part.starts_with("Names in the user's documents")).expect("there is such a section")
}

/// Why a line is not shown by anything; `None` where it is, or says that it is for later.
fn fault([shows, here, shown]: [&str; 3], code: &str, tests: &BTreeSet<String>) -> Option<String> {
    let is_later = |text: &str| text.split(|c: char| !c.is_alphabetic()).any(|word| word.eq_ignore_ascii_case("later"));
    let mut evidence = quoted(shown).peekable();
    if evidence.peek().is_none() {
        let told = is_later(here) && (shown.is_empty() || is_later(shown));
        return (!told).then(|| format!("{shows}: nothing shows it"));
    }
    let missing: Vec<&str> = evidence.filter(|name| !is_there(name, code, tests)).collect();
    (!missing.is_empty()).then(|| format!("{shows}: there is no {missing:?}"))
}

/// Whether a test, a file or folder, or an item of the code has this name.
fn is_there(name: &str, code: &str, tests: &BTreeSet<String>) -> bool {
    if let Some((path, item)) = name.rsplit_once("::") {
        let kinds = ["mod", "fn", "struct", "enum", "trait", "type", "const", "macro_rules!"];
        let is_item = |item: &str| {
            kinds.iter().any(|kind| {
                code.match_indices(&format!("{kind} {item}")).any(|(at, found)| {
                    let after = code[at + found.len()..].chars().next();
                    !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
                })
            })
        };
        let crates = ["tasker", "tasker_types", "tasker_runtime", "tasker_macros"];
        let mut modules = path.split("::");
        return modules.next().is_some_and(|first| crates.contains(&first)) && modules.all(is_item) && is_item(item);
    }
    if name.contains('/') {
        return Path::new(ROOT).join(name).exists();
    }
    tests.contains(name)
}

fn code() -> String {
    sources().iter().map(|path| read(&Path::new(ROOT).join(path))).collect()
}

#[test]
fn every_name_of_the_users_documents_is_shown_by_something() {
    let (code, tests) = (code(), tests());
    let lines: Vec<[&str; 3]> = lines(section(ARCHITECTURE)).collect();
    let faults: Vec<String> = lines.iter().filter_map(|line| fault(*line, &code, &tests)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(lines.len() > 90, "{} lines were read", lines.len());
}

#[test]
fn a_line_without_something_that_shows_it_is_found() {
    let code = "fn a_function_that_is_no_test() {} pub mod error_types { pub struct Known; }";
    let tests = BTreeSet::from(["a_test_that_is_there".to_owned()]);
    let wrong = |line: &str| lines(line).filter_map(|line| fault(line, code, &tests)).count();
    for well in [
        "| a | b | `a_test_that_is_there` |",
        "| a | b | `examples/linear`, `tasker::error_types` |",
        "| a | b | `tasker::error_types::Known` |",
        "| a | later | |",
        "| a | Later, by a decision | later |",
    ] {
        assert_eq!(wrong(well), 0, "{well}");
    }
    for bad in [
        "| a | b | |",
        "| a | b | later |",
        "| a | of the lateral | |",
        "| a | b | every example |",
        "| a | b | `a_test_that_is_not` |",
        "| a | b | `a_function_that_is_no_test` |",
        "| a | later | `a_test_that_is_not` |",
        "| a | b | `a_test_that_is_there`, `examples/none` |",
        "| a | b | `tasker::error_type` |",
        "| a | b | `tasker::error_types::Unknown` |",
        "| a | b | `other::error_types` |",
    ] {
        assert_eq!(wrong(bad), 1, "{bad}");
    }
}
