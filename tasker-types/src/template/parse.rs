//! The parser: text in, a template or all findings out.

use super::Template;
use super::connect::connect;
use super::fields::Reading;
use super::finding::{Finding, Findings, Span};
use super::lines::Lines;
use super::step::Draft;
use super::{read, yaml};

/// A template that was taken.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Parsed {
    /// The template.
    pub template: Template,
    /// What could be written better, in the order of the places.
    pub warnings: Vec<Finding>,
    /// Where each step is in the source, in the order of the steps' numbers: for findings of those
    /// who know more than the parser does, such as which handlers there are.
    pub places: Vec<StepPlace>,
}

/// Where a step is in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepPlace {
    /// The step's name.
    pub name: Span,
    /// The handler's name; the step's where the template names no handler.
    pub handler: Span,
}

/// Reads a template from YAML (or JSON, which is YAML too). `file_name` is what findings are shown
/// with; no file is opened.
///
/// ```
/// use tasker_types::template;
///
/// let source = "
/// name: order
/// steps:
///   - name: validate
///   - nmae: charge
///     dependencies: [validat]
/// ";
/// let findings = template::parse("order.yaml", source).unwrap_err();
/// let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.help.as_deref())).collect();
/// assert_eq!(found, [
///     ("T004", Some("did you mean `name`?")),
///     ("T012", Some("did you mean `validate`?")),
/// ]);
/// ```
///
/// # Errors
/// The text is no template. All findings are given at once, warnings among them, in the order of
/// their places; only where the text is not YAML at all is the first such place the only one.
pub fn parse(file_name: &str, source: &str) -> Result<Parsed, Findings> {
    let mut reading = Reading::default();
    let root = yaml::read(source, &mut reading.report);
    let parts = root.as_ref().and_then(|root| read::read(root, &mut reading));
    let Reading { mut report, dialect } = reading;
    let connected = parts.map(|(template, mut drafts)| {
        connect(&mut drafts, &mut report);
        (template, drafts)
    });
    dialect.warn(&mut report);
    let refused = report.refused();
    let (list, omitted) = report.finish(source);
    match connected {
        Some((template, drafts)) if !refused => Ok(finished(template, drafts, list, source)),
        _ => Err(Findings { file_name: file_name.to_owned(), source: source.to_owned(), list, omitted }),
    }
}

fn finished(mut template: Template, drafts: Vec<Draft<'_>>, warnings: Vec<Finding>, source: &str) -> Parsed {
    let mut lines = Lines::of(source);
    let mut places = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let name = lines.locate(draft.name_at.unlocated());
        places.push(StepPlace { name, handler: draft.handler_at.map_or(name, |at| lines.locate(at.unlocated())) });
        template.steps.push(draft.step);
    }
    Parsed { template, warnings, places }
}
