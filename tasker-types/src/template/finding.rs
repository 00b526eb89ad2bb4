//! What the parser has to say about a file: where, what, and what to do.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::codes::Code;
use super::lines::Lines;
use super::render;

/// Whether a template can be used in spite of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The template is refused.
    Error,
    /// The template is taken; the finding says what to write instead.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a text.
///
/// ```
/// use tasker_types::template::Span;
///
/// let span = Span::of("name: é\nsteps: []\n", 9..14);
/// assert_eq!((span.line, span.column), (2, 1));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
    /// The line of the first byte, counted from 1.
    pub line: usize,
    /// The column of the first byte, counted from 1 in characters.
    pub column: usize,
}

impl Span {
    /// The place of these bytes in `source`. Bytes beyond its end, or within a character, are moved
    /// back to the character's first byte.
    #[must_use]
    pub fn of(source: &str, bytes: Range<usize>) -> Self {
        Lines::of(source).locate(Self { start: bytes.start, end: bytes.end, ..Self::default() })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> Range<usize> {
        self.start..self.end
    }
}

/// One thing that is wrong with a template, or could be better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of thing it is: one of [`codes`](super::codes).
    pub code: &'static str,
    /// Whether the template can be used all the same.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// What to write under the place.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Other places that have to do with it, and what is there.
    pub related: Vec<(Span, String)>,
}

impl Finding {
    /// A finding without a place, a label or help; the fields can be set.
    #[must_use]
    pub fn new(code: &Code, message: impl Into<String>) -> Self {
        Self {
            code: code.code,
            severity: code.severity,
            message: message.into(),
            span: None,
            label: None,
            help: None,
            related: Vec::new(),
        }
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Says what to write under the place.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names another place that has to do with it.
    #[must_use]
    pub fn with_related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push((span, text.into()));
        self
    }

    /// The finding as plain text, with the lines of `source` that it is about. It ends with a line
    /// break, and has no control characters beside line breaks whatever the source holds.
    ///
    /// ```
    /// use tasker_types::template::{Finding, Span, codes};
    ///
    /// let source = "steps:\n  - name: charge\n    dependencies: [validate_ordr]\n";
    /// let place = source.find("validate").unwrap();
    /// let finding = Finding::new(&codes::UNKNOWN_DEPENDENCY, "step `charge` depends on `validate_ordr`, which does not exist")
    ///     .at(Span::of(source, place..place + 13))
    ///     .with_label("unknown step")
    ///     .with_help("did you mean `validate_order`?");
    /// assert_eq!(finding.render("order.yaml", source), "\
    /// error[T012]: step `charge` depends on `validate_ordr`, which does not exist
    ///   ╭─[order.yaml:3:20]
    /// 3 │     dependencies: [validate_ordr]
    ///   ·                    ──────┬──────
    ///   ·                          ╰── unknown step
    ///   help: did you mean `validate_order`?
    /// ");
    /// ```
    #[must_use]
    pub fn render(&self, file_name: &str, source: &str) -> String {
        render::render(self, file_name, source)
    }
}

/// All findings of a file that was refused, in the order of their places. `Display` renders them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    pub(super) file_name: String,
    pub(super) source: String,
    pub(super) list: Vec<Finding>,
    pub(super) omitted: usize,
}

impl Findings {
    /// The findings `list` of a file, put in the order of their places.
    #[must_use]
    pub fn new(file_name: &str, source: &str, mut list: Vec<Finding>) -> Self {
        list.sort_by_key(|finding| (finding.span, finding.code));
        Self { file_name: file_name.to_owned(), source: source.to_owned(), list, omitted: 0 }
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.list.iter()
    }

    /// How many findings there are in [`iter`](Self::iter).
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many more there were beyond [`MAX_FINDINGS`](super::limits::MAX_FINDINGS).
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The file's name, as the parser was given it.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The file's text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl<'f> IntoIterator for &'f Findings {
    type Item = &'f Finding;
    type IntoIter = std::slice::Iter<'f, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.list.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&finding.render(&self.file_name, &self.source))?;
        }
        if self.omitted > 0 {
            writeln!(f, "\n{} more findings are not shown", self.omitted)?;
        }
        Ok(())
    }
}

impl Error for Findings {}
