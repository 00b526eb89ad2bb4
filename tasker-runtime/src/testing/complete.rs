//! Whether the handlers of a binary and the templates beside it fit together.

use std::path::{Path, PathBuf};

use tasker_types::template;

use crate::handler::{AppState, NeededHandler, Problem, RustStepHandlerRegistry};

/// Checks that every template in the folder `templates` of the package under test is sound, that every handler which
/// they need is linked, and that no two handlers claim one name. One test that calls it keeps a rename from showing
/// only when a worker starts.
///
/// # Panics
/// Something is missing or wrong: everything that is, in one message.
pub fn assert_complete() {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    assert_complete_in(package.join("templates"));
}

/// The same for the templates in `folder`.
///
/// # Panics
/// As [`assert_complete`], and where the folder cannot be read or holds no template.
pub fn assert_complete_in(folder: impl AsRef<Path>) {
    let problems = problems(folder.as_ref());
    assert!(problems.is_empty(), "the application is not complete:\n{}", problems.join("\n"));
}

fn problems(folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let mut needed = Vec::new();
    let mut files: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => return vec![format!("{}: {error}", folder.display())],
    };
    let is_template =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
    files.retain(is_template);
    files.sort();
    if files.is_empty() {
        problems.push(format!("{}: there is no template", folder.display()));
    }
    for file in files {
        let name = file.display().to_string();
        let parsed = std::fs::read_to_string(&file).map_err(|error| format!("{name}: {error}"));
        match parsed.and_then(|text| template::parse(&name, &text).map_err(|findings| findings.to_string())) {
            Ok(parsed) => needed.extend(parsed.template.steps.iter().map(|step| NeededHandler {
                template: parsed.template.name.clone(),
                step: step.name.clone(),
                callable: step.handler.callable.clone(),
            })),
            Err(problem) => problems.push(problem),
        }
    }
    // What state there will be is known only to the application: a start reports what is missing of it.
    let report = RustStepHandlerRegistry::new().problems(&AppState::default(), &needed);
    let known = report.problems().iter().filter(|problem| !matches!(problem, Problem::MissingState { .. }));
    problems.extend(known.map(ToString::to_string));
    problems
}
