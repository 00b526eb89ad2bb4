//! What is known of a handler before any template names it.

use tasker_types::RetrySpec;

use super::{AppState, InputSpec, MakeSchema, RustStepHandler, StepHandlerConfig};

/// A handler that is linked into this binary, as `#[step_handler]` describes it.
#[derive(Debug)]
pub struct HandlerEntry {
    /// The name that templates call it by; empty where only the handler itself can tell
    /// (`register_handler!` without a name).
    pub name: &'static str,
    /// Further names.
    pub aliases: &'static [&'static str],
    /// The name of the function or type.
    pub rust_name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line in it.
    pub line: u32,
    /// The module's path.
    pub module: &'static str,
    /// Makes the handler with a template's `initialization`.
    pub factory: fn(StepHandlerConfig) -> anyhow::Result<Box<dyn RustStepHandler>>,
    /// Whether it runs on the blocking pool.
    pub blocking: bool,
    /// What the attribute says of retrying; a template overrides it.
    pub retry: RetrySpec,
    /// The longest time that an attempt may take, in milliseconds; a template overrides it.
    pub timeout_ms: Option<u64>,
    /// What it needs from the application's state.
    pub state: &'static [StateNeed],
    /// The steps whose results it reads.
    pub dependencies: &'static [DependencySpec],
    /// For each branch of a decision that returns a [`Route`](super::Route), the steps that go on.
    pub branches: Option<&'static [&'static [&'static str]]>,
    /// The values that it takes from the task's context.
    pub inputs: &'static [InputSpec],
    /// The schema of its result, where the type of that says one.
    pub result_schema: Option<MakeSchema>,
}

inventory::collect!(HandlerEntry);

impl HandlerEntry {
    /// Where it is written: `src/orders.rs:12 (shop::orders)`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{} ({})", self.file, self.line, self.module)
    }
}

/// A type that a handler takes from the application's state.
#[derive(Debug, Clone, Copy)]
pub struct StateNeed {
    /// The type's name.
    pub type_name: fn() -> &'static str,
    /// Whether the state has a value of it.
    pub present: fn(&AppState) -> bool,
}

impl StateNeed {
    /// The need for a `T`.
    #[must_use]
    pub const fn of<T: Send + Sync + 'static>() -> Self {
        Self::lent::<T>()
    }

    /// The need for a `T` that is only lent, to a future that is known to be `Send`.
    #[must_use]
    pub const fn lent<T: 'static>() -> Self {
        Self { type_name: std::any::type_name::<T>, present: AppState::contains::<T> }
    }
}

/// A step whose result a handler reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencySpec {
    /// The step's name.
    pub step: &'static str,
    /// Whether the handler can do without, because the step may be skipped.
    pub optional: bool,
}
