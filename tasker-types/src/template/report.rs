//! Where the parser's parts put what they find.

use super::codes::Code;
use super::finding::{Finding, Severity};
use super::limits::MAX_FINDINGS;
use super::lines::Lines;
use super::node::At;

/// The findings so far. It keeps a bounded number and counts the rest.
#[derive(Debug, Default)]
pub(super) struct Report {
    list: Vec<Finding>,
    omitted: usize,
    refused: bool,
}

/// A finding that was just added, so that the reporter can say more of it.
pub(super) struct Added<'r>(Option<&'r mut Finding>);

impl Report {
    pub(super) fn add(&mut self, code: &Code, at: At, message: impl Into<String>) -> Added<'_> {
        self.refused |= code.severity == Severity::Error;
        if self.list.len() >= MAX_FINDINGS {
            self.omitted += 1;
            return Added(None);
        }
        self.list.push(Finding::new(code, message).at(at.unlocated()));
        Added(self.list.last_mut())
    }

    /// How many findings were added, up to the bound.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether an error was added.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// All findings with their lines and columns, in the order of their places, and how many were
    /// left out.
    pub(super) fn finish(self, source: &str) -> (Vec<Finding>, usize) {
        let mut list = self.list;
        list.sort_by_key(|finding| (finding.span, finding.code));
        let mut lines = Lines::of(source);
        for finding in &mut list {
            finding.span = finding.span.map(|span| lines.locate(span));
        }
        for (span, _) in list.iter_mut().flat_map(|finding| &mut finding.related) {
            *span = lines.locate(*span);
        }
        (list, self.omitted)
    }
}

impl Added<'_> {
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(finding) = &mut self.0 {
            finding.label = Some(label.into());
        }
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        if let Some(finding) = &mut self.0 {
            finding.help = Some(help.into());
        }
        self
    }

    /// Help that asks "did you mean", where there is something to ask for.
    pub(super) fn suggest(self, suggestion: Option<&str>) -> Self {
        match suggestion {
            Some(word) => self.help(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    pub(super) fn related(mut self, at: At, text: impl Into<String>) -> Self {
        if let Some(finding) = &mut self.0 {
            finding.related.push((at.unlocated(), text.into()));
        }
        self
    }
}
