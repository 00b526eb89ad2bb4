//! Templates: workflows as data, and the one parser that makes them of YAML or JSON text.
//!
//! [`parse`] reads a file and gives a [`Template`], or all [`Findings`] of the file at once. The
//! macros, the runtime and `tasker check` all call it, so the same file gets the same verdict, with
//! the same words and the same `file:line:column`, wherever it is read.

pub mod codes;
mod connect;
mod dialect;
mod diff;
mod draw;
mod environment;
mod event;
mod fields;
mod finding;
mod inputs;
mod keys;
pub mod layout;
mod lifecycle;
pub mod limits;
mod lines;
mod names;
mod node;
mod parse;
mod read;
mod render;
mod report;
mod scalar;
mod schema;
mod step;
mod step_type;
mod value;
mod yaml;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Graph, IdentityStrategy, RetrySpec, StepNumber};

pub use diff::{Edge, KeyChange, StepChange, TemplateDiff};
pub use event::{DeliveryMode, EventCondition, EventSpec};
pub use finding::{Finding, Findings, Severity, Span};
pub use inputs::InputSource;
pub use lifecycle::{Lifecycle, StalenessAction};
pub use names::check_step_name;
pub use parse::{Parsed, StepPlace, parse};
pub use schema::json_schema;
pub use step_type::{BatchSpec, FailureStrategy, StepType};
pub use value::canonical_json;

/// A workflow: its steps, and which waits for which.
///
/// ```
/// use tasker_types::{StepNumber, template};
///
/// let source = "
/// name: order_fulfillment
/// version: 1.0.0
/// steps:
///   - name: validate_order
///   - name: charge
///     handler: payments.charge
///     dependencies: [validate_order]
///     retry: { max_attempts: 5 }
///     timeout_seconds: 2.5
/// ";
/// let template = template::parse("order.yaml", source)?.template;
/// let charge = template.step_named("charge").unwrap();
/// let step = &template.steps[charge.index()];
/// assert_eq!(step.handler.callable, "payments.charge");
/// assert_eq!(step.dependencies, [StepNumber(0)]);
/// assert_eq!(step.timeout_ms, Some(2_500));
/// assert_eq!(template.graph().roots(), [StepNumber(0)]);
/// # Ok::<(), template::Findings>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The template's name.
    pub name: String,
    /// The namespace; `default` where the file names none.
    pub namespace: String,
    /// The version, `x.y.z`; `0.1.0` where the file names none.
    pub version: String,
    /// What it does.
    pub description: Option<String>,
    /// Whatever its author adds; an empty object where the file adds nothing.
    pub metadata: Value,
    /// Keys that a task's context must have.
    pub required_fields: Vec<String>,
    /// How long a task may take; as long as it needs where the file says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// The JSON Schema that a task's context must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// How requests are told apart that come without an idempotency key.
    #[serde(default, skip_serializing_if = "IdentityStrategy::is_default")]
    pub identity_strategy: IdentityStrategy,
    /// The environment whose settings are in its steps; `None` where it has none for the one that it was read in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The steps, in the order of their numbers.
    #[serde(deserialize_with = "steps_of_known_numbers")]
    pub steps: Vec<StepTemplate>,
}

/// A step of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepTemplate {
    /// The step's name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// What kind of step it is.
    #[serde(rename = "type", default, skip_serializing_if = "StepType::is_default")]
    pub step_type: StepType,
    /// The handler that runs it.
    pub handler: HandlerRef,
    /// The steps that it waits for, as the file lists them.
    pub dependencies: Vec<StepNumber>,
    /// What the template says of retry; the handler's attribute and the defaults say the rest.
    pub retry: RetrySpec,
    /// The longest time that an attempt may take, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Whether its failure for good is skipped over: it becomes `skipped`, and what depends on it runs without its result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skippable: bool,
    /// What a batchable step says of its workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSpec>,
    /// What it is given as its inputs, by name; the task's context where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<BTreeMap<String, InputSource>>,
    /// The JSON Schema that its result must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_schema: Option<Value>,
    /// The events that it publishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publishes_events: Vec<EventSpec>,
}

/// The handler of a step, and what it is made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandlerRef {
    /// The handler's name, or a Rust path (`a::b::C`) that leads to its alias.
    pub callable: String,
    /// What the handler is made with: an object.
    pub initialization: Value,
}

impl StepTemplate {
    /// A step that says nothing but its name: it has the handler of that name, and waits for no other.
    ///
    /// ```
    /// use tasker_types::StepTemplate;
    ///
    /// let step = StepTemplate { timeout_ms: Some(500), ..StepTemplate::named("charge") };
    /// assert_eq!(step.handler.callable, "charge");
    /// ```
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            handler: HandlerRef { callable: name.clone(), initialization: Value::Object(serde_json::Map::new()) },
            name,
            description: None,
            step_type: StepType::Standard,
            dependencies: Vec::new(),
            retry: RetrySpec::default(),
            timeout_ms: None,
            skippable: false,
            batch: None,
            inputs: None,
            result_schema: None,
            publishes_events: Vec::new(),
        }
    }
}

impl Template {
    /// A template of these steps, in the namespace `default`, that says nothing more than its name.
    #[must_use]
    pub fn named(name: impl Into<String>, steps: Vec<StepTemplate>) -> Self {
        Self {
            name: name.into(),
            namespace: "default".to_owned(),
            version: "0.1.0".to_owned(),
            description: None,
            metadata: Value::Object(serde_json::Map::new()),
            required_fields: Vec::new(),
            lifecycle: None,
            input_schema: None,
            identity_strategy: IdentityStrategy::default(),
            environment: None,
            steps,
        }
    }

    /// The graph of the steps.
    ///
    /// # Panics
    /// A dependency's number is not below the number of steps: the template was put together by
    /// hand, for the parser and `Deserialize` refuse it.
    #[must_use]
    pub fn graph(&self) -> Graph {
        Graph::new(self.steps.iter().map(|step| step.dependencies.clone()).collect())
    }

    /// The number of the step of this name. It looks at one step after the other.
    #[must_use]
    pub fn step_named(&self, name: &str) -> Option<StepNumber> {
        (0..).map(StepNumber).zip(&self.steps).find_map(|(number, step)| (step.name == name).then_some(number))
    }

    /// SHA-256 of what the template says: its JSON with sorted keys and no spaces. Comments, layout,
    /// anchors and the choice between YAML and JSON do not change it.
    ///
    /// ```
    /// use tasker_types::template::parse;
    ///
    /// let yaml = parse("a.yaml", "name: a # first\nsteps:\n  - name: only\n").unwrap().template;
    /// let json = parse("a.json", r#"{ "steps": [{ "name": "only" }], "name": "a" }"#).unwrap().template;
    /// assert_eq!(yaml.content_hash(), json.content_hash());
    /// assert_eq!(yaml.content_hash_hex().len(), 64);
    /// ```
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        // A template has no map with keys that are not text, so it always has a JSON form.
        let json = serde_json::to_value(self).unwrap_or(Value::Null);
        Sha256::digest(canonical_json(&json).as_bytes()).into()
    }

    /// [`content_hash`](Self::content_hash) in 64 hexadecimal digits.
    #[must_use]
    pub fn content_hash_hex(&self) -> String {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
        let digits = |byte: u8| [digit(byte >> 4), digit(byte & 15)];
        self.content_hash().into_iter().flat_map(digits).collect()
    }
}

fn steps_of_known_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StepTemplate>, D::Error> {
    let steps = Vec::<StepTemplate>::deserialize(deserializer)?;
    for step in &steps {
        let read = step.inputs.iter().flat_map(BTreeMap::values).filter_map(|source| source.step.as_ref());
        if let Some(bad) = step.dependencies.iter().chain(read).find(|number| number.index() >= steps.len()) {
            let reason =
                format!("step `{}` depends on step number {bad}, but there are {} steps", step.name, steps.len());
            return Err(de::Error::custom(reason));
        }
    }
    Ok(steps)
}
