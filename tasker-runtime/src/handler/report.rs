//! Everything that is missing at a start, in one list.

use std::fmt;

/// How many names a message lists before it only counts the rest.
const LISTED_NAMES: usize = 30;

/// A handler that a template needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededHandler {
    /// The template's name.
    pub template: String,
    /// The step's name.
    pub step: String,
    /// What the template calls the handler.
    pub callable: String,
}

/// Everything that keeps a binary from running what it is asked to. Printing it gives one sentence a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartupReport {
    problems: Vec<Problem>,
}

/// One thing that keeps a binary from running what it is asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Several handlers claim one name: give all but one another name.
    Duplicate {
        /// The name.
        name: String,
        /// Where the handlers are written.
        places: Vec<String>,
    },
    /// A handler takes something from the application's state that is not there: add it with `.state(..)`.
    MissingState {
        /// The handler's name.
        handler: String,
        /// Where it is written.
        place: String,
        /// The type that it takes.
        type_name: &'static str,
    },
    /// A template needs a handler that this binary does not have: write it, or link the crate that has it.
    MissingHandler {
        /// What is needed, and by whom.
        needed: NeededHandler,
        /// The handlers that there are.
        present: Vec<String>,
    },
    /// A handler's `new` refuses an empty `initialization`.
    Unbuildable {
        /// The handler's name.
        handler: String,
        /// Where it is written.
        place: String,
        /// What `new` said.
        reason: String,
    },
}

impl StartupReport {
    /// The problems.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The report as an error, if there is anything in it.
    ///
    /// # Errors
    /// There is.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for StartupReport {}

impl fmt::Display for StartupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { name, places } if places.len() == 2 => {
                write!(f, "handler `{name}` is registered twice: {}", places.join(", "))
            }
            Self::Duplicate { name, places } => {
                write!(f, "handler `{name}` is registered {} times: {}", places.len(), places.join(", "))
            }
            Self::MissingState { handler, place, type_name } => {
                write!(
                    f,
                    "handler `{handler}`, {place}, takes `{type_name}` from the application's state, which has none: add it with `.state(..)`"
                )
            }
            Self::MissingHandler { needed, present } => {
                let NeededHandler { template, callable, .. } = needed;
                write!(f, "template `{template}` needs handler `{callable}`; this binary has: ")?;
                list(f, present)?;
                write!(f, "; if `{callable}` is in a library crate, add `use that_crate as _;` to main.rs")
            }
            Self::Unbuildable { handler, place, reason } => {
                write!(f, "handler `{handler}`, {place}, cannot be made without `initialization`: {reason}")
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return f.write_str("no handler");
    }
    for (index, name) in names.iter().take(LISTED_NAMES).enumerate() {
        write!(f, "{}`{name}`", if index > 0 { ", " } else { "" })?;
    }
    match names.len().checked_sub(LISTED_NAMES) {
        Some(more @ 1..) => write!(f, " and {more} more"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(present: &[&str]) -> String {
        let needed = NeededHandler { template: "shop".to_owned(), step: "s".to_owned(), callable: "ship".to_owned() };
        Problem::MissingHandler { needed, present: present.iter().map(|&name| name.to_owned()).collect() }.to_string()
    }

    #[test]
    fn a_missing_handler_is_told_with_what_there_is_and_what_to_do() {
        assert_eq!(
            missing(&["pay", "reserve"]),
            "template `shop` needs handler `ship`; this binary has: `pay`, `reserve`; \
             if `ship` is in a library crate, add `use that_crate as _;` to main.rs"
        );
        assert!(missing(&[]).contains("this binary has: no handler; if"));
    }

    #[test]
    fn a_long_list_of_handlers_is_cut() {
        let many = vec!["x"; LISTED_NAMES + 5];
        assert!(missing(&many).contains("`x` and 5 more; if"));
        assert!(!missing(&many[..LISTED_NAMES]).contains("more; if"));
    }
}
