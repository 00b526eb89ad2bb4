//! The parser: text in, a template or all findings out.

use super::Template;
use super::connect::connect;
use super::environment::{self, Environments};
use super::fields::Reading;
use super::finding::{Finding, Findings, Span};
use super::lines::Lines;
use super::node::At;
use super::read::{self, Parts};
use super::step::Draft;
use super::yaml;

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
    /// Where the template has its `input_schema`, if it has one.
    pub input_schema: Option<Span>,
    environments: Environments,
}

impl Parsed {
    /// The environments that the file says something of.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.environments.keys().map(String::as_str)
    }

    /// The template as it runs in this environment; as it stands where it says nothing of it.
    ///
    /// ```
    /// use tasker_types::template::parse;
    ///
    /// let source = "
    /// name: a
    /// steps: [{ name: first, timeout_seconds: 5 }, { name: second }]
    /// environments: { production: { steps: [{ name: ALL, timeout_seconds: 60 }] } }
    /// ";
    /// let template = parse("a.yaml", source)?.in_environment("production").template;
    /// assert_eq!(template.steps[0].timeout_ms, Some(60_000));
    /// assert_eq!(template.environment.as_deref(), Some("production"));
    /// # Ok::<(), tasker_types::template::Findings>(())
    /// ```
    #[must_use]
    pub fn in_environment(mut self, name: &str) -> Self {
        if let Some(says) = self.environments.get(name) {
            environment::apply(&mut self.template, name, says);
        }
        self
    }
}

/// Where a step is in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepPlace {
    /// The step's name.
    pub name: Span,
    /// The handler's name; the step's where the template names no handler.
    pub handler: Span,
    /// Where it has its `result_schema`, if it has one.
    pub result_schema: Option<Span>,
    /// Where each of its events names a publisher, if it does: in the order of its `publishes_events`.
    pub publishers: Vec<Option<Span>>,
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
    let connected = parts.map(|Parts { template, mut steps, environments, schema_at }| {
        connect(&mut steps, &mut report);
        let environments = environment::connect(environments, &steps, &mut report);
        (template, steps, environments, schema_at)
    });
    dialect.warn(&mut report);
    let refused = report.refused();
    let (list, omitted) = report.finish(source);
    match connected {
        Some((template, drafts, environments, schema_at)) if !refused => {
            let (template, places) = finished(template, drafts, source);
            let input_schema = schema_at.map(|at| Lines::of(source).locate(at.unlocated()));
            Ok(Parsed { template, warnings: list, places, input_schema, environments })
        }
        _ => Err(Findings { file_name: file_name.to_owned(), source: source.to_owned(), list, omitted }),
    }
}

fn finished(mut template: Template, drafts: Vec<Draft<'_>>, source: &str) -> (Template, Vec<StepPlace>) {
    let mut lines = Lines::of(source);
    let mut places = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let name = lines.locate(draft.name_at.unlocated());
        let handler = draft.handler_at.map_or(name, |at| lines.locate(at.unlocated()));
        let result_schema = draft.schema_at.map(|at| lines.locate(at.unlocated()));
        let locate = |at: Option<At>| at.map(|at| lines.locate(at.unlocated()));
        let publishers = draft.publishers_at.into_iter().map(locate).collect();
        places.push(StepPlace { name, handler, result_schema, publishers });
        template.steps.push(draft.step);
    }
    (template, places)
}
