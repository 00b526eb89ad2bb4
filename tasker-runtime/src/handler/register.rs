//! `register_handler!`: hand-written handlers among the linked ones.

/// Links a hand-written handler into the binary, as `#[step_handler]` does with the ones that it writes.
///
/// With a name, the handler is registered under it. Without, it is made once at each start with an empty
/// `initialization` and asked for its [`name`](crate::handler::RustStepHandler::name).
///
/// ```
/// use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
/// use tasker_types::{StepExecutionResult, TaskSequenceStep};
///
/// struct Ping;
///
/// #[async_trait::async_trait]
/// impl RustStepHandler for Ping {
///     fn new(_: StepHandlerConfig) -> Self {
///         Self
///     }
///     fn name(&self) -> &str {
///         "ping"
///     }
///     async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
///         Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, "pong".into(), None))
///     }
/// }
///
/// tasker_runtime::register_handler!(Ping);
/// tasker_runtime::register_handler!("another_ping", Ping);
///
/// # fn main() {
/// assert_eq!(RustStepHandlerRegistry::new().list_handlers(), ["another_ping", "ping"]);
/// # }
/// ```
#[macro_export]
macro_rules! register_handler {
    ($handler:ty $(,)?) => {
        $crate::register_handler!("", $handler);
    };
    ($name:literal, $handler:ty $(,)?) => {
        const _: () = {
            use $crate::handler::private as __p;
            __p::inventory::submit! {
                __p::HandlerEntry {
                    name: $name,
                    aliases: &[],
                    rust_name: __p::core::stringify!($handler),
                    docs: "",
                    file: __p::core::file!(),
                    line: __p::core::line!(),
                    module: __p::core::module_path!(),
                    factory: __p::factory::<$handler>,
                    blocking: false,
                    retry: __p::RetrySpec::NONE,
                    timeout_ms: __p::None,
                    state: &[],
                    dependencies: &[],
                    branches: __p::None,
                    inputs: &[],
                    result_schema: __p::None,
                }
            }
        };
    };
}
