//! The keys of a template: one table for the parser and for the JSON Schema.

use serde_json::{Value, json};

use super::lifecycle::MAX_MINUTES;
use super::limits::{
    MAX_ATTEMPTS, MAX_DURATION_MS, MAX_EVENTS, MAX_IDENTIFIER_BYTES, MAX_NAME_BYTES, MAX_STEPS, MAX_TASK_STEPS,
};
use super::{DeliveryMode, EventCondition, FailureStrategy, StalenessAction, StepType};
use crate::{Backoff, IdentityStrategy};

/// The keys that one kind of mapping may have.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) keys: &'static [Key],
}

/// A key: what it is for, and which values it takes.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) need: Need,
    /// What it means, for editors.
    pub(super) about: &'static str,
    /// Its value as a JSON Schema.
    pub(super) schema: fn() -> Value,
}

/// Whether a key must or may be given.
#[derive(Debug)]
pub(super) enum Need {
    Required,
    Optional,
    /// Taken, but of an older dialect.
    Older,
}

impl Block {
    pub(super) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn key(name: &'static str, need: Need, about: &'static str, schema: fn() -> Value) -> Key {
    Key { name, need, about, schema }
}

/// The template itself.
pub(super) const TEMPLATE: Block = Block {
    keys: &[
        key(
            "name",
            Need::Required,
            "The template's name.",
            || json!({ "type": "string", "pattern": "^[a-z0-9_]+$", "maxLength": MAX_NAME_BYTES }),
        ),
        key(
            "namespace_name",
            Need::Optional,
            "The namespace; `default` where none is given.",
            || json!({ "type": "string", "pattern": "^[a-z0-9_]+$", "maxLength": MAX_NAME_BYTES, "default": "default" }),
        ),
        key(
            "version",
            Need::Optional,
            "Three numbers; `0.1.0` where none is given.",
            || json!({ "type": "string", "pattern": "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$", "default": "0.1.0" }),
        ),
        key("description", Need::Optional, "What the workflow does.", || json!({ "type": "string" })),
        key("metadata", Need::Optional, "Whatever its author adds.", || json!({})),
        key(
            "input_schema",
            Need::Optional,
            "The JSON Schema that a task's context must fit.",
            || json!({ "type": ["object", "boolean"] }),
        ),
        key(
            "identity_strategy",
            Need::Optional,
            "Which requests mean the same task: none, those with the same context (`strict`), or those with the same idempotency key, which each must have (`caller_provided`).",
            || json!({ "enum": IdentityStrategy::ALL, "default": "always_unique" }),
        ),
        key(
            "lifecycle",
            Need::Optional,
            "How long a task may take as a whole, and what becomes of one that takes longer.",
            || json!({ "$ref": "#/$defs/lifecycle" }),
        ),
        key(
            "task_handler",
            Need::Older,
            "Of an older dialect: only `initialization.input_validation.required_fields` has an effect.",
            || json!({ "$ref": "#/$defs/task_handler" }),
        ),
        key(
            "steps",
            Need::Required,
            "The steps.",
            || json!({ "type": "array", "minItems": 1, "maxItems": MAX_STEPS, "items": { "$ref": "#/$defs/step" } }),
        ),
        key(
            "environments",
            Need::Optional,
            "What is otherwise where `TASKER_ENV` names an environment.",
            || json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/environment" } }),
        ),
    ],
};

/// A step.
pub(super) const STEP: Block = Block {
    keys: &[
        key(
            "name",
            Need::Required,
            "The step's name.",
            || json!({ "type": "string", "pattern": "^[a-z0-9_]+$", "maxLength": MAX_IDENTIFIER_BYTES }),
        ),
        key("description", Need::Optional, "What the step does.", || json!({ "type": "string" })),
        key(
            "type",
            Need::Optional,
            "The kind of step: `standard`, a `decision` whose result names the steps that go on, a `deferred_convergence` that joins branches, a `batchable` step, or the `batch_worker` that its workers are made after.",
            || json!({ "enum": StepType::ALL, "default": "standard" }),
        ),
        key(
            "handler",
            Need::Optional,
            "The handler that runs the step: its name, or a mapping; the step's own name where none is given.",
            || json!({ "oneOf": [{ "type": "string", "maxLength": MAX_IDENTIFIER_BYTES }, { "$ref": "#/$defs/handler" }] }),
        ),
        key(
            "dependencies",
            Need::Optional,
            "Names of the steps that must be done before.",
            || json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true }),
        ),
        key(
            "retry",
            Need::Optional,
            "How often the step is tried, and how long it waits in between.",
            || json!({ "$ref": "#/$defs/retry" }),
        ),
        key(
            "timeout_seconds",
            Need::Optional,
            "The longest time that an attempt may take.",
            || json!({ "type": "number", "exclusiveMinimum": 0, "maximum": MAX_DURATION_MS / 1_000 }),
        ),
        key(
            "inputs",
            Need::Optional,
            "What the step is given as its inputs, by name: `context.key`, or `step.key` for the result of a step before; the task's context where none is given.",
            || json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        ),
        key(
            "skippable",
            Need::Optional,
            "Whether a failure for good is skipped over: what depends on the step runs without its result.",
            || json!({ "type": "boolean", "default": false }),
        ),
        key(
            "batch_config",
            Need::Optional,
            "Of a `batchable` step: how many of its workers are under way at once, and what the failure of one means.",
            || json!({ "$ref": "#/$defs/batch_config" }),
        ),
        key(
            "result_schema",
            Need::Optional,
            "The JSON Schema that the step's result must fit.",
            || json!({ "type": ["object", "boolean"] }),
        ),
        key(
            "publishes_events",
            Need::Optional,
            "The events that the ends of the step's attempts publish.",
            || json!({ "type": "array", "maxItems": MAX_EVENTS, "items": { "$ref": "#/$defs/event" } }),
        ),
    ],
};

/// A step's `handler`, in its long form.
pub(super) const HANDLER: Block = Block {
    keys: &[
        key(
            "callable",
            Need::Optional,
            "The handler's name; the step's own where none is given.",
            || json!({ "type": "string", "maxLength": MAX_IDENTIFIER_BYTES }),
        ),
        key("initialization", Need::Optional, "What the handler is made with.", || json!({ "type": "object" })),
    ],
};

/// A step's `retry`.
pub(super) const RETRY: Block = Block {
    keys: &[
        key(
            "retryable",
            Need::Optional,
            "Whether the step may be tried again at all.",
            || json!({ "type": "boolean", "default": true }),
        ),
        key(
            "max_attempts",
            Need::Optional,
            "How many attempts may fail before the step does; the first one counts.",
            || json!({ "type": "integer", "minimum": 1, "maximum": MAX_ATTEMPTS, "default": 3 }),
        ),
        key(
            "limit",
            Need::Older,
            "An older spelling of `max_attempts`.",
            || json!({ "type": "integer", "minimum": 1, "maximum": MAX_ATTEMPTS }),
        ),
        key(
            "max_losses",
            Need::Optional,
            "How many attempts may be lost with their worker before the step fails.",
            || json!({ "type": "integer", "minimum": 1, "maximum": MAX_ATTEMPTS, "default": 3 }),
        ),
        key(
            "backoff",
            Need::Optional,
            "How the delay between two tries grows.",
            || json!({ "enum": Backoff::ALL, "default": "exponential" }),
        ),
        key(
            "backoff_base_ms",
            Need::Optional,
            "The first delay, in milliseconds.",
            || json!({ "type": "integer", "minimum": 0, "maximum": MAX_DURATION_MS, "default": 1_000 }),
        ),
        key(
            "max_backoff_ms",
            Need::Optional,
            "The longest delay, in milliseconds.",
            || json!({ "type": "integer", "minimum": 0, "maximum": MAX_DURATION_MS, "default": 60_000 }),
        ),
    ],
};

/// A batchable step's `batch_config`.
pub(super) const BATCH: Block = Block {
    keys: &[
        key(
            "parallelism",
            Need::Optional,
            "The most workers that are under way at once; all of them where none is given.",
            || json!({ "type": "integer", "minimum": 1, "maximum": MAX_TASK_STEPS }),
        ),
        key(
            "failure_strategy",
            Need::Optional,
            "What the failure of one worker means for the others.",
            || json!({ "enum": FailureStrategy::ALL, "default": "fail_fast" }),
        ),
    ],
};

/// How long a task may take.
pub(super) const LIFECYCLE: Block = Block {
    keys: &[
        key(
            "max_duration_minutes",
            Need::Required,
            "From the submit, or from the last time that an operator retried or resumed the task.",
            || json!({ "type": "integer", "minimum": 1, "maximum": MAX_MINUTES }),
        ),
        key(
            "staleness_action",
            Need::Optional,
            "What becomes of a task that takes longer: it becomes a dead letter, is cancelled, or is paused.",
            || json!({ "enum": StalenessAction::ALL, "default": "dlq" }),
        ),
    ],
};

/// An environment.
pub(super) const ENVIRONMENT: Block = Block {
    keys: &[key(
        "steps",
        Need::Required,
        "The steps of which something is otherwise.",
        || json!({ "type": "array", "items": { "$ref": "#/$defs/environment_step" } }),
    )],
};

/// What is otherwise of a step in an environment.
pub(super) const ENVIRONMENT_STEP: Block = Block {
    keys: &[
        key(
            "name",
            Need::Required,
            "The step's name; `ALL` for every step. What is said of one step goes over what is said of all.",
            || json!({ "type": "string", "maxLength": MAX_IDENTIFIER_BYTES }),
        ),
        key(
            "handler",
            Need::Optional,
            "Another handler, or other keys of its `initialization`.",
            || json!({ "oneOf": [{ "type": "string", "maxLength": MAX_IDENTIFIER_BYTES }, { "$ref": "#/$defs/handler" }] }),
        ),
        key("retry", Need::Optional, "Other options of its retry.", || json!({ "$ref": "#/$defs/retry" })),
        key(
            "timeout_seconds",
            Need::Optional,
            "Another longest time that an attempt may take.",
            || json!({ "type": "number", "exclusiveMinimum": 0, "maximum": MAX_DURATION_MS / 1_000 }),
        ),
    ],
};

/// An event under a step's `publishes_events`.
pub(super) const EVENT: Block = Block {
    keys: &[
        key(
            "name",
            Need::Required,
            "The event's name.",
            || json!({ "type": "string", "pattern": "^[a-z_][a-z0-9_.]*$", "maxLength": MAX_IDENTIFIER_BYTES }),
        ),
        key(
            "condition",
            Need::Optional,
            "Which ends of an attempt it is published at.",
            || json!({ "enum": EventCondition::ALL, "default": "success" }),
        ),
        key(
            "delivery_mode",
            Need::Optional,
            "`durable`: a row of the step's transaction, delivered at least once; `fast`: told in the process that ran the step, at most once; `broadcast`: both.",
            || json!({ "enum": DeliveryMode::ALL, "default": "durable" }),
        ),
        key(
            "publisher",
            Need::Optional,
            "The publisher that makes the payload; the step's result, or its error, where none is named.",
            || json!({ "type": "string", "maxLength": MAX_IDENTIFIER_BYTES }),
        ),
    ],
};

/// The older dialect's `task_handler`.
pub(super) const TASK_HANDLER: Block = Block {
    keys: &[
        key("callable", Need::Older, "Has no effect: steps have handlers.", || json!({ "type": "string" })),
        key(
            "initialization",
            Need::Optional,
            "Only `input_validation.required_fields` has an effect.",
            || json!({ "type": "object", "properties": { "input_validation": { "type": "object", "properties": { "required_fields": { "type": "array", "items": { "type": "string" } } } } } }),
        ),
    ],
};
