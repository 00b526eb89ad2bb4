use std::collections::BTreeSet;

use super::*;
use crate::cli::exit::Exit;

/// Every source file that gives codes to problems.
const SOURCES: &[&str] = &[
    include_str!("../../core/command.rs"),
    include_str!("../../engine/error.rs"),
    include_str!("../../store/error.rs"),
    include_str!("../../app/settings.rs"),
    include_str!("../../app/settings/database.rs"),
    include_str!("../ask.rs"),
    include_str!("../check.rs"),
    include_str!("../check/publishers.rs"),
    include_str!("../check/routes.rs"),
    include_str!("../check/schemas.rs"),
    include_str!("../demo.rs"),
    include_str!("../dlq.rs"),
    include_str!("../doctor.rs"),
    include_str!("../event.rs"),
    include_str!("../explain.rs"),
    include_str!("../exit.rs"),
    include_str!("../graph.rs"),
    include_str!("../handlers.rs"),
    include_str!("../ids.rs"),
    include_str!("../input.rs"),
    include_str!("../logging.rs"),
    include_str!("../new.rs"),
    include_str!("../problem.rs"),
    include_str!("../run.rs"),
    include_str!("../screen.rs"),
    include_str!("../session.rs"),
    include_str!("../startup.rs"),
    include_str!("../step.rs"),
    include_str!("../task.rs"),
    include_str!("../task/bulk.rs"),
    include_str!("../templates.rs"),
    include_str!("../usage.rs"),
];

fn codes_in(source: &str) -> impl Iterator<Item = &str> {
    let is_code = |text: &&str| {
        text.len() == 4 && text.starts_with(['D', 'E', 'T']) && text[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    source.split('"').filter(is_code)
}

#[test]
fn every_code_in_the_sources_has_a_page_and_every_page_is_used() {
    let known: BTreeSet<&str> = all().iter().map(|page| page.code).collect();
    let used: BTreeSet<&str> = SOURCES.iter().flat_map(|source| codes_in(source)).collect();
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "codes without a page");
    let own: BTreeSet<&str> = pages::PAGES.iter().map(|page| page.code).collect();
    assert_eq!(own.difference(&used).collect::<Vec<_>>(), Vec::<&&str>::new(), "pages that no code leads to");
}

#[test]
fn no_code_has_two_pages() {
    let all = all();
    let codes: BTreeSet<&str> = all.iter().map(|page| page.code).collect();
    assert_eq!(codes.len(), all.len());
}

#[test]
fn what_scripts_test_for_is_told_by_the_exit_code() {
    for (code, exit) in [("E102", 3), ("T012", 4), ("D009", 5), ("D004", 6), ("D008", 7), ("E320", 8), ("E321", 9)] {
        assert_eq!(Exit::of_code(code) as i32, exit, "{code}");
    }
}
