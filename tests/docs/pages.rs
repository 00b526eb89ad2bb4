//! The other pages: what they name exists, and what there is they name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::shown::tests;

pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");
pub(crate) const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");
const SEMANTICS: &str = include_str!("../../docs/semantics.md");
const RELIABILITY: &str = include_str!("../../docs/reliability.md");
const ARCHITECTURE_LINES_MAX: usize = 500;
const PAGES: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/semantics.md", "docs/reliability.md"];

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file of the workspace, by its path from the root.
pub(crate) fn sources() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new(ROOT), &mut found);
    let from_root = |path: PathBuf| path.strip_prefix(ROOT).map(|path| path.display().to_string()).ok();
    found.into_iter().filter_map(from_root).collect()
}

/// The words between backticks.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tests that a page names: sentences joined by underscores, in the last column of a table or after "Shown by".
fn test_names(page: &str) -> BTreeSet<&str> {
    let is_sentence = |word: &&str| {
        word.matches('_').count() >= 3 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let place = |line: &'_ str| line.starts_with("| ") || line.starts_with("Shown by");
    let lines =
        page.lines().filter(|line| place(line)).filter_map(|line| line.trim_end_matches(" |").rsplit(" | ").next());
    lines.flat_map(quoted).filter(is_sentence).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let tests = tests();
    for page in [SEMANTICS, RELIABILITY, ARCHITECTURE] {
        let missing: Vec<&str> = test_names(page).into_iter().filter(|name| !tests.contains(*name)).collect();
        assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
    }
    assert!(test_names(SEMANTICS).len() > 50);
}

#[test]
fn every_line_of_the_semantics_names_what_shows_it() {
    let bare: Vec<&str> = SEMANTICS
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what ") && !line.starts_with("|---"))
        .filter(|line| test_names(line).is_empty())
        .collect();
    assert!(bare.is_empty(), "{bare:#?}");
}

#[test]
fn the_architecture_is_short() {
    let lines = ARCHITECTURE.lines().count();
    assert!(lines < ARCHITECTURE_LINES_MAX, "{lines}");
}

#[test]
fn every_module_is_on_the_map_and_every_place_on_it_exists() {
    let map = ARCHITECTURE.split("\n## ").find(|part| part.starts_with("Code map")).expect("there is a code map");
    let mut crate_folder = "";
    let mut named = BTreeSet::new();
    for line in map.lines() {
        if let Some(heading) = line.strip_prefix("### `") {
            crate_folder = heading.split('`').next().expect("there is a first");
        } else if let Some(row) = line.strip_prefix("| `") {
            for file in quoted(&format!("`{}", row.split(" | ").next().expect("there is a first"))) {
                let path = if crate_folder.is_empty() { file.to_owned() } else { format!("{crate_folder}/{file}") };
                assert!(Path::new(ROOT).join(&path).exists(), "there is no {path}");
                named.insert(path);
            }
        }
    }
    let is_module =
        |path: &&String| path.contains("/src/") && !path.contains("/tests/") && !path.ends_with("/tests.rs");
    let all = sources();
    let on_map = |path: &&String| {
        let folder = Path::new(path.as_str()).ancestors().skip(1).map(|folder| format!("{}/", folder.display()));
        named.contains(path.as_str()) || folder.into_iter().any(|folder| named.contains(&folder))
    };
    let missing: Vec<&String> = all.iter().filter(is_module).filter(|path| !on_map(path)).collect();
    assert!(missing.is_empty(), "not on the map: {missing:#?}");
}

/// What no file declares is not compiled: its tests pass for ever.
#[test]
fn every_file_is_a_module_of_its_crate() {
    let whole = ["main.rs", "lib.rs", "build.rs"];
    let all = sources();
    let declares = |file: &str, module: &str| {
        let (text, declared) = (read(&Path::new(ROOT).join(file)), format!("mod {module};"));
        text.lines().map(str::trim_start).any(|line| line == declared || line.ends_with(&format!(" {declared}")))
    };
    let mut orphans = Vec::new();
    for path in &all {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let is_own = whole.contains(&name)
            || ["tests/ui/", "examples/", "tests/cli/programs", "benches/"].iter().any(|at| path.starts_with(at));
        let parents = [format!("{folder}.rs"), format!("{folder}/main.rs"), format!("{folder}/lib.rs")];
        let module = name.trim_end_matches(".rs");
        if !is_own && !parents.iter().any(|parent| all.contains(parent) && declares(parent, module)) {
            orphans.push(path);
        }
    }
    assert!(orphans.is_empty(), "no file says `mod ..;` of these: {orphans:#?}");
}

#[test]
fn every_dependency_has_a_reason() {
    let reasons = ARCHITECTURE.split("\n## ").find(|part| part.starts_with("Dependencies")).expect("there is a list");
    let given: BTreeSet<&str> = reasons
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| quoted(line.split(" | ").next().unwrap_or_default()))
        .collect();
    let mut used = BTreeSet::new();
    for manifest in [
        "Cargo.toml",
        "tasker-types/Cargo.toml",
        "tasker-macros/Cargo.toml",
        "tasker-runtime/Cargo.toml",
        "tests/ui/Cargo.toml",
        "xtask/Cargo.toml",
    ] {
        let text = read(&Path::new(ROOT).join(manifest));
        let mut listed = false;
        for line in text.lines() {
            if line.starts_with('[') {
                listed = line == "[dependencies]" || line == "[dev-dependencies]";
            } else if let (true, Some((name, _))) = (listed, line.split_once([' ', '.', '='])) {
                let own = name.starts_with("tasker") || name.is_empty() || name.starts_with('#');
                used.extend((!own).then(|| name.to_owned()));
            }
        }
    }
    let used: BTreeSet<&str> = used.iter().map(String::as_str).collect();
    assert_eq!(given, used);
}

#[test]
fn links_lead_somewhere() {
    for page in PAGES {
        let path = Path::new(ROOT).join(page);
        let text = read(&path);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap_or(target);
            assert!(path.with_file_name(file).exists(), "{page} links to {target}");
        }
    }
}

#[test]
fn pages_are_for_everybody() {
    for page in PAGES {
        let text = read(&Path::new(ROOT).join(page));
        for word in [ROOT, "/root/", "/home/", "localhost:"] {
            assert!(!text.contains(word), "{page} has `{word}`");
        }
    }
}
