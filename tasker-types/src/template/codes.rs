//! Every code that a finding about a template may have, and what it means.
//!
//! Codes are stable: one that has been released keeps its meaning, and is never used again.

use super::Severity;

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `T` and three digits.
    pub code: &'static str,
    /// Whether the template can be used all the same.
    pub severity: Severity,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it means, and what to do.
    pub explanation: &'static str,
}

/// The kind of finding that `code` stands for.
///
/// ```
/// use tasker_types::template::codes;
///
/// assert_eq!(codes::find("T012").map(|code| code.title), Some("unknown dependency"));
/// ```
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    ALL.iter().find(|known| known.code == code)
}

macro_rules! codes {
    ($($name:ident $code:literal $severity:ident $title:literal $explanation:literal)+) => {
        $(#[doc = concat!($code, ": ", $title, ".")]
        pub const $name: Code = Code { code: $code, severity: Severity::$severity, title: $title, explanation: $explanation };)+

        /// All codes, in their order.
        pub const ALL: &[Code] = &[$($name),+];
    };
}

codes! {
    SYNTAX "T001" Error "not valid YAML"
        "The text cannot be read as YAML (or JSON, which is YAML too). The parser stops at the first such place, so \
         there may be more findings after it is repaired. Most often the indentation is off, a bracket or a quote is not closed, or a \
         text with `: ` or ` #` in it needs quotes."
    TOO_LARGE "T002" Error "larger than a template may be"
        "A template has at most 1 MiB of text, 500,000 values (what an alias stands for counts each time) and 64 levels of \
         nesting. Split the workflow, or move data out of the template into the task's context."
    DUPLICATE_KEY "T003" Error "a key is given twice"
        "A mapping has the same key twice, so one of the two values would be lost. Remove one of them. `max_attempts` and its old \
         spelling `limit`, and `name` and `:name:`, count as the same key."
    UNKNOWN_KEY "T004" Error "unknown key"
        "The key means nothing here, and nothing in a template is read and ignored. It is misspelt, stands at the wrong level of \
         indentation, or belongs under `metadata`, which takes anything."
    WRONG_TYPE "T005" Error "value of the wrong type"
        "The key takes another kind of value: text, a number, `true` or `false`, a list, a mapping. Values are read as YAML 1.2 \
         does: `no`, `yes`, `on` and `off` are text, and what stands in quotes is text."
    MISSING_KEY "T006" Error "a required key is missing"
        "A template needs `name` and `steps`, a step needs `name`."
    BAD_NAME "T007" Error "a name that cannot be"
        "Names of templates and namespaces have 1 to 64 bytes, names of steps 1 to 255, all made of a-z, 0-9 and `_`. They are used in \
         commands, addresses and metrics, where other characters would need quoting."
    BAD_VERSION "T008" Error "a version that cannot be"
        "A version is three numbers with dots between them, such as 1.0.0, without leading zeros. It may be quoted."
    OUT_OF_RANGE "T009" Error "value out of range"
        "The number is smaller or larger than the option allows, or finer than a millisecond. The message says the range."
    UNKNOWN_VALUE "T010" Error "unknown value"
        "The key takes one of a few words, and this is none of them. The message lists them."
    DUPLICATE_STEP "T011" Error "two steps of one name"
        "Steps are told apart by their names, so each name can be used once in a template."
    UNKNOWN_DEPENDENCY "T012" Error "unknown dependency"
        "A step depends on a step that this template does not have. Dependencies are names of steps, not of handlers."
    SELF_DEPENDENCY "T013" Error "a step depends on itself"
        "A step that waits for itself would never start. Remove the dependency."
    DUPLICATE_DEPENDENCY "T014" Error "a dependency is given twice"
        "A step names the same dependency twice. Remove one of them."
    CYCLE "T015" Error "steps wait for each other"
        "Each step of the cycle waits for the next one, so none of them could ever start. Remove one of the dependencies. In the \
         message, each arrow reads \"depends on\"."
    NO_STEPS "T016" Error "a template without steps"
        "A template needs at least one step, or its tasks would have nothing to do."
    TOO_MANY "T017" Error "too many steps or dependencies"
        "A template has at most 10,000 steps, 500 of them of the type `batch_worker`, and 50,000 dependencies. For more work of the same kind, let one step make batches of it."
    TOO_DEEP "T018" Error "too many steps in a row"
        "The longest path through a template has at most 1,000 steps. Let one handler do several of the things in a row."
    BAD_HANDLER "T019" Error "a handler's name that cannot be"
        "Handlers' names have 1 to 255 bytes, made of a-z, 0-9, `_` and `.`. A Rust path (`module::Handler`) is taken too, with a warning."
    UNSUPPORTED_YAML "T020" Error "YAML that a template cannot have"
        "Templates are what JSON can hold, with YAML's comments, anchors, aliases and merge keys (`<<`). Keys are text; tags other than \
         `!!str`, `!!map` and `!!seq`, aliases that contain themselves, and several documents in one file are refused."
    NOT_JSON "T021" Error "a value that JSON cannot hold"
        "Free values (`metadata`, `initialization`) are stored as JSON: no infinity, no `.nan`, no whole number beyond 64 bits, and no \
         NUL character in text, which PostgreSQL cannot store. Write such a number as text."
    DECISION_WITHOUT_BRANCHES "T022" Error "a decision without branches"
        "A decision chooses which of the steps that depend on it go on. Where none does, there is nothing to choose from: let each branch's \
         first step depend on it, or make it a `standard` step."
    CONVERGENCE_WITHOUT_BRANCHES "T023" Error "a convergence without branches"
        "A `deferred_convergence` runs when the branches that it joins are over. Let it depend on the last step of each branch."
    SKIPPABLE_DECISION "T024" Error "a decision that is skippable"
        "`skippable` lets what depends on a step run without its result. Without a decision's result nobody knows which branches to run, so a \
         decision cannot be skippable. Let its handler choose a branch where it cannot decide."
    BATCHABLE_WITHOUT_WORKER "T025" Error "a batchable step without a worker"
        "A `batchable` step says in its result how many workers there are to be, and what each of them is given. They are made after a step \
         of the type `batch_worker` that depends on it: add one."
    WORKER_WITHOUT_BATCHABLE "T026" Error "a batch worker without its batchable step"
        "A `batch_worker` stands for the workers of one `batchable` step: it depends on that step and on no other. What the workers need of \
         earlier steps they read all the same."
    MISPLACED_OPTION "T027" Error "an option that this kind of step cannot have"
        "`batch_config` belongs to a `batchable` step: it says how many of its workers are under way at once, and what the failure of one \
         means. Neither a `batchable` step nor a `batch_worker` is `skippable`: `failure_strategy` says what a failure means. A `batch_worker` \
         has no `inputs`: each of its workers is given its cursor."
    INPUT_FROM_NOWHERE "T030" Error "an input that comes from nowhere"
        "`inputs` names for each value where it comes from: `context.key` is in what the task was submitted with, `step.key` in the result of \
         a step. That step must come before this one, however far: what it names in `dependencies`, and what those wait for. More keys lead \
         deeper (`step.customer.id`), none mean all of it. Workers of batches have many results, so that no input can come from them."
    ENVIRONMENT_WITHOUT_STEP "T031" Error "an environment that names an unknown step"
        "An environment says what is otherwise of steps that the template has: it names one of them, or `ALL`. What is said of one step goes \
         over what is said of all; a step that an environment does not name is as the template says."
    BAD_SCHEMA "T032" Error "not a JSON Schema"
        "`input_schema` and `result_schema` are JSON Schemas of draft 2020-12, or of the one that their `$schema` names. They refer to nothing \
         outside themselves (`$defs` and `#/$defs/..` do), and their patterns are matched in linear time, so that look-around and back \
         references are not taken."
    BAD_EVENT_NAME "T034" Error "an event's name that cannot be"
        "Names of events have 1 to 255 bytes, made of a-z, 0-9, `_` and `.`. Those that begin with `tasker.` are names of the engine's own \
         events, which nobody else publishes."
    DUPLICATE_EVENT "T035" Error "an event is published twice"
        "A step publishes the same event on the same condition twice, so each subscriber would be given it twice. Remove one of them."
    COLON_KEYS "T060" Warning "keys with a leading colon"
        "Keys written `:name:` are an older dialect. They are read as `name:`; write them so."
    RETRY_LIMIT "T061" Warning "`retry.limit`"
        "`limit` is an older spelling of `max_attempts` and is read as such; write `max_attempts`."
    TASK_HANDLER "T062" Warning "`task_handler` has no effect"
        "In an older dialect a template had a handler of its own. Here steps have handlers, and the engine runs them. Of this block only \
         `initialization.input_validation.required_fields` has an effect: a task's context must have these keys. Remove the rest."
    VALIDATION_IN_HANDLER "T063" Warning "a validation that the handler must do"
        "Of `input_validation` only `required_fields` is enforced when a task is submitted. The rule that is named here is not: \
         the first step's handler must check it."
    RUST_PATH "T064" Warning "a callable that is a Rust path"
        "A Rust path leads to the handler that has it as an alias, else to one whose Rust name is its last segment. Write the handler's name."
}
