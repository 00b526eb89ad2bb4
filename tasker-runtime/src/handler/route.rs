//! Typed decisions: an enum whose variants name the steps that go on.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

/// What a decision returns: which of its branches go on, and why.
///
/// Its JSON is what the engine reads out of any decision's result: `activated_steps`, the names of the steps, and
/// `routing_context`, whatever else there is to tell (an empty object where nothing was told). A step after the decision
/// takes it like any other result, as a `Route` of the same enum.
///
/// ```
/// use serde_json::json;
/// use tasker_runtime::handler::{Branches, Route};
///
/// // `#[derive(Route)]` writes this impl.
/// enum Approval { Automatic, Manager }
///
/// impl Branches for Approval {
///     const STEPS: &'static [&'static [&'static str]] = &[&["approve"], &["ask_manager", "note_delay"]];
///
///     fn number(&self) -> usize {
///         match self { Self::Automatic => 0, Self::Manager => 1 }
///     }
///
///     fn numbered(number: usize) -> Option<Self> {
///         [Self::Automatic, Self::Manager].into_iter().nth(number)
///     }
/// }
///
/// let route = Route::to(Approval::Manager).with_context(json!({ "limit": 1000 }));
/// assert_eq!(
///     serde_json::to_value(&route)?,
///     json!({ "activated_steps": ["ask_manager", "note_delay"], "routing_context": { "limit": 1000 } }),
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<T> {
    branch: T,
    /// Here so that only making a route needs branches: an enum that has none is told of once, where it is routed to.
    steps: &'static [&'static str],
    context: Value,
    /// Why the context could not be written as JSON.
    fault: Option<String>,
}

/// An enum whose variants are the branches of a decision. `#[derive(Route)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which steps go on",
    label = "a `Route` goes to a variant of an enum that names the steps",
    note = "add `#[derive(tasker::Route)]` to the enum"
)]
pub trait Branches: Sized {
    /// For each variant, in their order, the steps that go on.
    const STEPS: &'static [&'static [&'static str]];

    /// Which variant it is, counted from 0.
    fn number(&self) -> usize;

    /// The variant of this number.
    fn numbered(number: usize) -> Option<Self>;
}

impl<T: Branches> Route<T> {
    /// Goes on with the steps that this variant names.
    #[must_use]
    pub fn to(branch: T) -> Self {
        let steps = T::STEPS.get(branch.number()).copied().unwrap_or_default();
        Self { branch, steps, context: Value::Null, fault: None }
    }
}

impl<T> Route<T> {
    /// Tells why, or whatever else may be of use to whoever looks at the task. What cannot be written as JSON fails the
    /// attempt.
    #[must_use]
    pub fn with_context(mut self, context: impl Serialize) -> Self {
        match serde_json::to_value(context) {
            Ok(context) => self.context = context,
            Err(error) => self.fault = Some(format!("the routing context: {error}")),
        }
        self
    }

    /// The variant that was chosen.
    #[must_use]
    pub const fn branch(&self) -> &T {
        &self.branch
    }

    /// The steps that go on.
    #[must_use]
    pub const fn steps(&self) -> &'static [&'static str] {
        self.steps
    }

    /// What was told with it; null where nothing was.
    #[must_use]
    pub const fn context(&self) -> &Value {
        &self.context
    }
}

impl<T> Serialize for Route<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(fault) = &self.fault {
            return Err(serde::ser::Error::custom(fault));
        }
        let mut json = serializer.serialize_struct("Route", 2)?;
        json.serialize_field("activated_steps", self.steps)?;
        match &self.context {
            Value::Null => json.serialize_field("routing_context", &Map::new())?,
            context => json.serialize_field("routing_context", context)?,
        }
        json.end()
    }
}

impl<'de, T: Branches> Deserialize<'de> for Route<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Chosen {
            activated_steps: Vec<String>,
            #[serde(default)]
            routing_context: Value,
        }
        let Chosen { activated_steps, routing_context } = Chosen::deserialize(deserializer)?;
        let number = T::STEPS.iter().position(|steps| *steps == activated_steps);
        let branch = number.and_then(T::numbered).ok_or_else(|| {
            let steps = activated_steps.join(", ");
            de::Error::custom(format_args!("no variant of the route names just these steps: [{steps}]"))
        })?;
        let nothing_told = routing_context.as_object().is_some_and(Map::is_empty);
        let context = if nothing_told { Value::Null } else { routing_context };
        Ok(Self { context, ..Self::to(branch) })
    }
}
