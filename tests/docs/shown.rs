//! Which tests there are, read from the code: what the pages name is one of them, and no function that a test uses.

use std::collections::BTreeSet;
use std::path::Path;

use crate::pages::{ROOT, read, sources};

/// Where the suite is that each store is held to.
const SUITE: &str = "store/conformance/";

/// Every test of the workspace.
pub(crate) fn tests() -> BTreeSet<String> {
    let found = sources().into_iter().flat_map(|path| {
        let text = read(&Path::new(ROOT).join(&path));
        tests_in(&path, &text)
    });
    found.collect()
}

/// The tests of a file: functions with the attribute of a test, what a macro makes one of, and the functions of the suite,
/// of each of which there is a test for each store.
fn tests_in(path: &str, text: &str) -> BTreeSet<String> {
    let mut found = marked(text);
    found.extend(made(text));
    if path.contains(SUITE) {
        let functions = text.lines().filter_map(|line| line.strip_prefix("pub async fn "));
        found.extend(functions.map(|rest| word(rest).to_owned()));
    }
    found
}

/// The functions that have the attribute of a test.
fn marked(text: &str) -> BTreeSet<String> {
    let (mut found, mut is_test) = (BTreeSet::new(), false);
    for line in text.lines().map(str::trim_start) {
        // In a macro it stands within a repetition.
        let attribute = line.trim_start_matches("$(");
        if attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = function(line) {
            found.extend((is_test && !name.is_empty()).then(|| name.to_owned()));
            is_test = false;
        }
    }
    found
}

/// What macros of this file make tests of that are named by whoever calls them: the first words of the lines of a call.
fn made(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for definition in text.split("\nmacro_rules! ").skip(1) {
        let body = definition.split("\n}").next().unwrap_or_default();
        let mut lines = body.lines().map(str::trim_start).skip_while(|line| !line.starts_with("#[test]"));
        if lines.nth(1).is_none_or(|line| !line.starts_with("fn $")) {
            continue;
        }
        let call = format!("\n{}! {{", word(definition));
        let calls = text.split(call.as_str()).skip(1).filter_map(|rest| rest.split("\n}").next());
        let names = calls.flat_map(str::lines).map(|line| word(line.trim_start()));
        found.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    found
}

/// The name of the function that begins on this line; none where a macro names it.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ").map(word)
}

/// The word that a text begins with.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

#[test]
fn only_what_is_run_is_a_test() {
    let text = r#"
fn a_helper() {}

/// It is a test.
#[test]
fn a_plain_one() {}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "it does")]
async fn one_that_waits() {
    fn a_function_within() {}
}

async fn another_helper() {}

macro_rules! kinds {
    ($($test:ident: $kind:ident,)*) => {
        $(
            #[test]
            fn $test() {}
        )*
    };
}

kinds! {
    one_of_a_macro: First,
    another_of_a_macro: Second,
}

macro_rules! others {
    ($name:ident) => { fn $name() {} };
}

others! {
    a_helper_of_a_macro
}
"#;
    let tests = ["a_plain_one", "another_of_a_macro", "one_of_a_macro", "one_that_waits"];
    assert_eq!(tests_in("tests/cli/task.rs", text).into_iter().collect::<Vec<_>>(), tests);
    let suite =
        "pub async fn a_step_is_claimed_once(store: &dyn Store) {\n}\nasync fn a_helper() {}\npub fn another() {}\n";
    assert_eq!(tests_in("tests/cli/task.rs", suite).len(), 0);
    let of_suite = tests_in("tasker-runtime/src/store/conformance/claim.rs", suite);
    assert_eq!(of_suite.into_iter().collect::<Vec<_>>(), ["a_step_is_claimed_once"]);
}
