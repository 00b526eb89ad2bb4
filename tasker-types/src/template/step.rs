//! One step: from its mapping to what the template keeps of it.

use super::codes;
use super::fields::{Fields, Reading};
use super::inputs::{self, Wish};
use super::keys::{BATCH, HANDLER, RETRY, STEP};
use super::limits::{MAX_ATTEMPTS, MAX_DURATION_MS, MAX_TASK_STEPS};
use super::names::{check_handler, check_step, is_rust_path};
use super::node::{At, Entry, Kind, Node};
use super::scalar::{Scalar, describe, quoted, resolve};
use super::value::to_json;
use super::{BatchSpec, FailureStrategy, StepTemplate, StepType, event};
use crate::suggest::nearest;
use crate::{Backoff, RetrySpec};

/// A step whose dependencies are names still.
pub(super) struct Draft<'n> {
    pub(super) step: StepTemplate,
    /// The step in words: "step `charge`", or "step 3" where it has no name.
    pub(super) label: String,
    /// Where its name is; where the step begins if it has none.
    pub(super) name_at: At,
    /// Whether it has a name that can be asked for, be it a bad one.
    pub(super) named: bool,
    /// Where its handler is named, if it is.
    pub(super) handler_at: Option<At>,
    /// Where its type is named, if it is.
    pub(super) type_at: Option<At>,
    pub(super) dependencies: Vec<Mention<'n>>,
    pub(super) inputs: Option<Vec<Wish<'n>>>,
    /// Where its result's schema is named, if it is.
    pub(super) schema_at: Option<At>,
    /// Where each of its events names a publisher, if it does.
    pub(super) publishers_at: Vec<Option<At>>,
}

impl Draft<'_> {
    /// A step of which nothing is known but this.
    pub(super) fn of(step: StepTemplate, label: String, name_at: At) -> Self {
        Self {
            step,
            label,
            name_at,
            named: false,
            handler_at: None,
            type_at: None,
            dependencies: Vec::new(),
            inputs: None,
            schema_at: None,
            publishers_at: Vec::new(),
        }
    }
}

/// A name in a list of dependencies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mention<'n> {
    pub(super) name: &'n str,
    pub(super) at: At,
}

/// The step that `node` describes; `position` counts from 1.
pub(super) fn read<'n>(node: &'n Node<'_>, position: usize, reading: &mut Reading) -> Draft<'n> {
    let peeked = peek_name(node);
    let label = peeked.map_or_else(|| format!("step {position}"), |name| format!("step {}", quoted(name)));
    let mut draft = Draft::of(StepTemplate::named(peeked.unwrap_or_default()), label.clone(), node.anchor());
    let Some(fields) = Fields::of(node, &STEP, label, "", reading) else {
        return draft;
    };
    if let Some((name, at)) = fields.text("name", reading) {
        draft.named = true;
        draft.name_at = at;
        name.clone_into(&mut draft.step.name);
        name.clone_into(&mut draft.step.handler.callable);
        if let Err(bad) = check_step(name) {
            let message = format!("bad step name: {}", bad.reason);
            reading.report.add(&codes::BAD_NAME, at, message).suggest(bad.suggestion.as_deref());
        }
    }
    draft.step.description = fields.text("description", reading).map(|(text, _)| text.to_owned());
    draft.step.step_type = step_type(&fields, &mut draft, reading).unwrap_or_default();
    draft.step.skippable = skippable(&fields, draft.step.step_type, reading);
    (draft.step.publishes_events, draft.publishers_at) =
        event::read(&fields, &draft.label, reading).into_iter().unzip();
    draft.step.batch = batch(&fields, draft.step.step_type, &draft.label, reading);
    handler(&fields, &mut draft, reading);
    draft.dependencies = dependencies(&fields, reading);
    draft.inputs = inputs::read(&fields, draft.step.step_type, &draft.label, reading);
    draft.step.retry = retry(&fields, &draft.label, reading);
    draft.step.timeout_ms = timeout(&fields, reading);
    (draft.step.result_schema, draft.schema_at) = fields.json_schema("result_schema", reading).unzip();
    draft
}

/// The step's name before its fields are read, for messages about them.
pub(super) fn peek_name<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    let Kind::Map(entries) = &node.kind else {
        return None;
    };
    let entry = entries.iter().find(|entry| matches!(&*entry.key, "name" | ":name"))?;
    match &entry.value.kind {
        Kind::Scalar { text, plain } if resolve(text, *plain) != Scalar::Null => Some(text),
        _ => None,
    }
}

fn step_type(fields: &Fields<'_, '_>, draft: &mut Draft<'_>, reading: &mut Reading) -> Option<StepType> {
    let (name, at) = fields.text("type", reading)?;
    draft.type_at = Some(at);
    if let Some(known) = StepType::from_name(name) {
        return Some(known);
    }
    let message = format!("{} is {}, which is no type of step", fields.name_of("type"), quoted(name));
    reading
        .report
        .add(&codes::UNKNOWN_VALUE, at, message)
        .help("types are standard, decision, deferred_convergence, batchable, batch_worker")
        .suggest(nearest(name, StepType::ALL.iter().map(|kind| kind.as_str())));
    None
}

fn skippable(fields: &Fields<'_, '_>, step_type: StepType, reading: &mut Reading) -> bool {
    let skippable = fields.boolean("skippable", reading) == Some(true);
    if skippable
        && step_type == StepType::Decision
        && let Some(entry) = fields.get("skippable")
    {
        let message = format!("{} is `true`, but the step is a decision", fields.name_of("skippable"));
        let added = reading.report.add(&codes::SKIPPABLE_DECISION, entry.value.at, message);
        added
            .label("a decision that failed chose nothing")
            .help("let its handler choose a branch where it cannot decide");
    }
    if skippable
        && matches!(step_type, StepType::Batchable | StepType::BatchWorker)
        && let Some(entry) = fields.get("skippable")
    {
        let message = format!("{} is `true`, but the step is a `{step_type}`", fields.name_of("skippable"));
        let added = reading.report.add(&codes::MISPLACED_OPTION, entry.value.at, message);
        added
            .label("not for this type")
            .help("`batch_config.failure_strategy` says what the failure of a worker means");
    }
    skippable
}

/// What a batchable step says of its workers; every batchable step says something.
fn batch(fields: &Fields<'_, '_>, step_type: StepType, label: &str, reading: &mut Reading) -> Option<BatchSpec> {
    let is_batchable = step_type == StepType::Batchable;
    let Some(entry) = fields.get("batch_config") else { return is_batchable.then(BatchSpec::default) };
    if !is_batchable {
        let message = format!("{} is given, but the step is a `{step_type}`", fields.name_of("batch_config"));
        let added = reading.report.add(&codes::MISPLACED_OPTION, entry.key_at, message);
        added.label("not for this type").help("it belongs to the `batchable` step");
    }
    let inner = Fields::of(&entry.value, &BATCH, label.to_owned(), "batch_config.", reading)?;
    let parallelism = inner.integer("parallelism", 1, MAX_TASK_STEPS as u64, reading);
    let failure_strategy = inner.text("failure_strategy", reading).and_then(|(name, at)| {
        let strategy = FailureStrategy::from_name(name);
        if strategy.is_none() {
            let message = format!("{} is {}, which is none", inner.name_of("failure_strategy"), quoted(name));
            let names = FailureStrategy::ALL.iter().map(|strategy| strategy.as_str());
            let added = reading.report.add(&codes::UNKNOWN_VALUE, at, message).label("unknown value");
            added.help("take one of fail_fast, isolate, continue_on_failure").suggest(nearest(name, names));
        }
        strategy
    });
    let parallelism = parallelism.and_then(|number| u32::try_from(number).ok());
    Some(BatchSpec { parallelism, failure_strategy: failure_strategy.unwrap_or_default() })
}

pub(super) fn handler<'n>(fields: &Fields<'n, '_>, draft: &mut Draft<'n>, reading: &mut Reading) {
    let given = fields.get("handler").and_then(|entry| given_handler(fields, entry, draft, reading));
    if let Some((callable, at)) = given {
        name_handler(callable, at, draft, reading);
    } else if draft.named && check_step(&draft.step.name).is_ok() && check_handler(&draft.step.name).is_err() {
        let message = format!("{} names no handler, and its own name cannot be that of one", draft.label);
        let added = reading.report.add(&codes::BAD_HANDLER, draft.name_at, message);
        added.help("names of handlers begin with a letter; give the step a `handler`");
    }
}

/// The name under `handler`, in its short or its long form, and what the handler is made with.
fn given_handler<'n>(
    fields: &Fields<'n, '_>,
    entry: &'n Entry<'_>,
    draft: &mut Draft<'n>,
    reading: &mut Reading,
) -> Option<(&'n str, At)> {
    match &entry.value.kind {
        Kind::Map(_) => {
            let inner = Fields::of(&entry.value, &HANDLER, draft.label.clone(), "handler.", reading)?;
            if let Some(given) = inner.get("initialization") {
                match (&given.value.kind, to_json(&given.value, &mut reading.dialect, &mut reading.report)) {
                    (Kind::Map(_), json) => draft.step.handler.initialization = json,
                    (_, serde_json::Value::Null) => {}
                    _ => inner.wrong_type("initialization", "a mapping", &given.value, reading),
                }
            }
            inner.text("callable", reading)
        }
        Kind::List(_) => {
            fields.wrong_type("handler", "a name or a mapping", &entry.value, reading);
            None
        }
        Kind::Scalar { .. } => fields.text("handler", reading),
    }
}

fn name_handler(callable: &str, at: At, draft: &mut Draft<'_>, reading: &mut Reading) {
    draft.handler_at = Some(at);
    callable.clone_into(&mut draft.step.handler.callable);
    if is_rust_path(callable) {
        reading.dialect.rust_path(at, callable);
    } else if let Err(bad) = check_handler(callable) {
        let message = format!("bad handler name: {}", bad.reason);
        reading.report.add(&codes::BAD_HANDLER, at, message).suggest(bad.suggestion.as_deref());
    }
}

fn dependencies<'n>(fields: &Fields<'n, '_>, reading: &mut Reading) -> Vec<Mention<'n>> {
    let has_none = fields.get("dependencies").is_none();
    let items = if has_none { None } else { fields.list("dependencies", reading) };
    let mut mentions = Vec::new();
    for item in items.unwrap_or_default() {
        match &item.kind {
            Kind::Scalar { text, plain } if resolve(text, *plain) != Scalar::Null => {
                mentions.push(Mention { name: text, at: item.at });
            }
            _ => {
                let message =
                    format!("{} must be names of steps, but one is {}", fields.name_of("dependencies"), describe(item));
                reading.report.add(&codes::WRONG_TYPE, item.anchor(), message).label("must be the name of a step");
            }
        }
    }
    mentions
}

pub(super) fn retry(fields: &Fields<'_, '_>, label: &str, reading: &mut Reading) -> RetrySpec {
    let Some(entry) = fields.get("retry") else {
        return RetrySpec::default();
    };
    let Some(retry) = Fields::of(&entry.value, &RETRY, label.to_owned(), "retry.", reading) else {
        return RetrySpec::default();
    };
    let mut attempts = |name| {
        let number = retry.integer(name, 1, MAX_ATTEMPTS.into(), reading)?;
        u32::try_from(number).ok()
    };
    let (max_attempts, limit, max_losses) = (attempts("max_attempts"), attempts("limit"), attempts("max_losses"));
    if let Some(old) = retry.get("limit") {
        reading.dialect.limit(old.key_at);
        if let Some(new) = retry.get("max_attempts") {
            let message =
                format!("{} is given twice: `limit` is an older spelling of it", retry.name_of("max_attempts"));
            let added = reading.report.add(&codes::DUPLICATE_KEY, old.key_at, message);
            added.related(new.key_at, "it is given here too").help("remove `limit`");
        }
    }
    RetrySpec {
        retryable: retry.boolean("retryable", reading),
        max_attempts: max_attempts.or(limit),
        max_losses,
        backoff: backoff(&retry, reading),
        backoff_base_ms: retry.integer("backoff_base_ms", 0, MAX_DURATION_MS, reading),
        max_backoff_ms: retry.integer("max_backoff_ms", 0, MAX_DURATION_MS, reading),
    }
}

fn backoff(retry: &Fields<'_, '_>, reading: &mut Reading) -> Option<Backoff> {
    // `backoff: ~` is none as well as `backoff: none` is: not what the word `null` says elsewhere,
    // so it is refused as any other empty value is.
    let (name, at) = retry.text("backoff", reading)?;
    let backoff = Backoff::from_name(name);
    if backoff.is_none() {
        let names = Backoff::ALL.iter().map(|backoff| backoff.as_str());
        let message = format!("{} is {}, which is no way to back off", retry.name_of("backoff"), quoted(name));
        reading
            .report
            .add(&codes::UNKNOWN_VALUE, at, message)
            .label("unknown value")
            .help("take one of none, linear, exponential, fibonacci")
            .suggest(nearest(name, names));
    }
    backoff
}

pub(super) fn timeout(fields: &Fields<'_, '_>, reading: &mut Reading) -> Option<u64> {
    const KEY: &str = "timeout_seconds";
    let value = &fields.get(KEY)?.value;
    let Kind::Scalar { text, plain } = &value.kind else {
        fields.wrong_type(KEY, "a number", value, reading);
        return None;
    };
    let millis = match resolve(text, *plain) {
        Scalar::Int(seconds) => seconds.map(|seconds| seconds.saturating_mul(1_000)),
        Scalar::Float(text) => match decimal_millis(text) {
            Decimal::Millis(millis) => Some(millis),
            Decimal::TooFine => {
                let message = format!("{} is finer than a millisecond", fields.name_of(KEY));
                reading.report.add(&codes::OUT_OF_RANGE, value.at, message).label("at most three decimals");
                return None;
            }
            Decimal::Other => None,
        },
        Scalar::Null | Scalar::Bool(_) | Scalar::Text(_) => {
            fields.wrong_type(KEY, "a number", value, reading);
            return None;
        }
    };
    let fits =
        millis.and_then(|millis| u64::try_from(millis).ok()).filter(|millis| (1..=MAX_DURATION_MS).contains(millis));
    if fits.is_none() {
        let message =
            format!("{} must be above 0 and at most {} (30 days)", fields.name_of(KEY), MAX_DURATION_MS / 1_000);
        reading
            .report
            .add(&codes::OUT_OF_RANGE, value.at, message)
            .label("out of range")
            .help("write it as a plain number, such as 30 or 0.5");
    }
    fits
}

/// A decimal number of seconds in milliseconds.
#[derive(Debug, PartialEq)]
enum Decimal {
    Millis(i128),
    TooFine,
    /// Negative, infinite, with an exponent, or beyond any bound.
    Other,
}

fn decimal_millis(text: &str) -> Decimal {
    let (whole, fraction) = text.strip_prefix('+').unwrap_or(text).split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() > 12 || !all_digits(whole) || !all_digits(fraction) {
        return Decimal::Other;
    }
    if fraction.len() > 3 {
        return Decimal::TooFine;
    }
    format!("{whole}{fraction:0<3}").parse().map_or(Decimal::Other, Decimal::Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_to_the_millisecond() {
        assert_eq!(decimal_millis("2.5"), Decimal::Millis(2_500));
        assert_eq!(decimal_millis(".25"), Decimal::Millis(250));
        assert_eq!(decimal_millis("1."), Decimal::Millis(1_000));
        assert_eq!(decimal_millis("+0.0010"), Decimal::Millis(1));
        assert_eq!(decimal_millis("0.0001"), Decimal::TooFine);
        for other in ["-1.5", "1e3", ".inf", "1234567890123.0"] {
            assert_eq!(decimal_millis(other), Decimal::Other, "{other}");
        }
    }
}
