//! The macros of tasker: [`#[step_handler]`](macro@step_handler), [`#[derive(StepFailure)]`](derive@StepFailure) and
//! [`#[derive(Route)]`](derive@Route).
//!
//! Use them through the crate `tasker`, which brings along what they generate code for.
//!
//! ```standalone_crate
//! use serde::{Deserialize, Serialize};
//! use tasker::{StepContext, StepError, StepFailure, StepHandlerConfig, step_handler};
//!
//! #[derive(Debug, thiserror::Error, StepFailure)]
//! enum OrderError {
//!     #[error("order has no items")]
//!     #[step(permanent)] // another try makes no sense; its code is EMPTY_ORDER
//!     EmptyOrder,
//!     #[error("{sku} is sold out")]
//!     #[step(retryable, code = "SOLD_OUT", retry_after = "2s")]
//!     OutOfStock { sku: String },
//! }
//!
//! #[derive(Deserialize)]
//! struct Item { sku: String, price: f64 }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order { customer: i64, total: f64 }
//!
//! /// Adds up the order.
//! #[step_handler(timeout = "30s", retry(max_attempts = 2, backoff = "exponential", base = "100ms", max = "5s"))]
//! async fn validate_order(
//!     #[input("customer.id")] customer: i64,    // a path into the task's context
//!     #[input] items: Vec<Item>,                // the key is the argument's name
//!     #[input(default = 1.0)] factor: f64,      // where it is absent or null
//!     #[input] coupon: Option<String>,          // None where it is absent
//! ) -> Result<Order, OrderError> {
//!     if items.is_empty() {
//!         return Err(OrderError::EmptyOrder);
//!     }
//!     let _ = coupon;
//!     Ok(Order { customer, total: items.iter().map(|item| item.price).sum::<f64>() * factor })
//! }
//!
//! struct Stock(Vec<String>); // shared with `tasker::app().state(..)`
//!
//! #[step_handler]
//! async fn reserve_inventory(
//!     #[dependency(validate_order)] order: Order,    // compared with what `validate_order` returns
//!     #[dependency("gift_wrap")] wrap: Option<u8>,   // a step of another program, which may be skipped
//!     #[config("warehouse", default = "main")] warehouse: &str, // the template's `initialization`
//!     #[state] stock: &Stock,
//!     ctx: StepContext<'_>,                          // which attempt, ids, cancellation
//! ) -> anyhow::Result<String> {
//!     let _ = (wrap, &stock.0, ctx.attempt());
//!     Ok(format!("{warehouse} for {}", order.customer))
//! }
//!
//! /// Handlers that hold something are an `impl` block.
//! struct ChargeCard { url: String }
//!
//! #[step_handler(name = "process_payment")]
//! impl ChargeCard {
//!     fn new(config: &StepHandlerConfig) -> anyhow::Result<Self> {
//!         Ok(Self { url: config.get("url")? })
//!     }
//!
//!     async fn call(&self, #[dependency(validate_order)] order: Order) -> Result<String, StepError> {
//!         Ok(format!("{}/{}", self.url, order.total))
//!     }
//! }
//!
//! // A test of a handler is a call of the function.
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let items = vec![Item { sku: "AB-1".into(), price: 2.5 }];
//! assert_eq!(validate_order(7, items, 2.0, None).await.unwrap().total, 5.0);
//! assert!(validate_order(7, vec![], 1.0, None).await.is_err());
//! # }
//! ```

use proc_macro::TokenStream;

mod errors;
mod failure;
mod handler;
mod route;
mod subscriber;
mod values;

/// Makes a step handler out of an `async fn`, or out of the `impl` block of a type, and links it into the binary.
///
/// The function stays what it is and can be called as before. Beside it there is a type of the same name, which stands
/// for the handler in `#[dependency(..)]` and in templates that are checked at compile time. The registry of any program
/// that links the crate has the handler: nothing needs to be registered by hand. A binary that does not name anything of a
/// library crate does not link it; `use that_crate as _;` does.
///
/// # The attribute
///
/// | | |
/// |---|---|
/// | `name = "validate_order"` | what templates call it; without, the function's name (or the type's, in snake case) |
/// | `alias = ".."` | a further name, such as an older one; may be repeated |
/// | `timeout = "30s"` | the longest time of an attempt: `ms`, `s`, `m` or `h` |
/// | `retry(max_attempts = 3, backoff = "exponential", base = "100ms", max = "5s", max_losses = 3, retryable = true)` | any of them; `backoff` is none, linear, exponential or fibonacci |
/// | `blocking` | runs on tokio's blocking pool, for what computes or blocks; then a plain `fn` is enough |
/// | `returns = Type` | the type of the result, where the function builds the `StepExecutionResult` itself |
/// | `crate = path` | where the crate `tasker` is found, if not at `::tasker` |
///
/// A template's own `retry` and `timeout_seconds` come before the attribute's.
///
/// # Arguments
///
/// | | comes from | |
/// |---|---|---|
/// | `#[input] items: T` | the task's context, by the argument's name (without a leading `_`) | `#[input("customer.id")]`, `#[input(default = 3)]`, `#[input(default)]` |
/// | `#[context] order: T` | the task's whole context | |
/// | `#[dependency(validate_order)] order: T` | the result of that step; the types are compared | `Option<T>` where the step may be skipped; `, partial` reads another shape out of the same JSON |
/// | `#[dependency("validate_order")] order: T` | the same by the step's name; nothing is compared | |
/// | `#[dependencies(prefix = "worker_")] all: BTreeMap<String, T>` | the results of all earlier steps whose names begin so | |
/// | `#[config] config: T` | the template's `handler.initialization` | `#[config("key", default = 3)]` |
/// | `#[state] pool: &T` | the application's state; `T` itself is cloned, `Option<&T>` is `None` where there is none | |
/// | no attribute | a type that implements `FromStep`: `&TaskSequenceStep`, `StepContext<'_>`, your own | |
///
/// Whatever is read can also be lent: `&str` for a `String`, `&[T]` for a `Vec<T>`, `&T` for a `T`. An argument that is
/// missing or has another shape fails the attempt with a `validation_error` that names the place and is not tried again.
///
/// # On an `impl` block
///
/// `fn new` makes the handler, once for each step of a template that names it: it takes the `StepHandlerConfig`, by value
/// or by reference, or nothing, and returns `Self` or `anyhow::Result<Self>`. `async fn call(&self, ..)` runs an attempt
/// and takes arguments as above. Other members of the block are left alone.
///
/// # What it returns
///
/// `Result<T, E>`, or plain `T` for what cannot fail; `T` is written as JSON. `E` is an error that says whether another
/// try makes sense: an enum with [`#[derive(StepFailure)]`](derive@StepFailure), `StepError`, or `anyhow::Error`,
/// which is tried again as the policy says unless it carries a `StepError::permanent`.
///
/// The handler of a decision returns a `Route` to one of the variants of an enum with [`#[derive(Route)]`](derive@Route), as
/// it is or in a `Result`.
///
/// A handler may build its result itself and return `anyhow::Result<StepExecutionResult>`. Then failures that should be
/// tried again are results, too, and an `Err` is the unrecoverable way out:
///
/// ```standalone_crate
/// use tasker::{StepExecutionResult, TaskSequenceStep, step_handler, success_result};
///
/// #[step_handler(name = "process_payment")]
/// async fn process_payment(step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
///     let amount: f64 = step.get_input("amount")?;
///     Ok(success_result(step.workflow_step.workflow_step_uuid, amount.into(), 0, None))
/// }
/// ```
///
/// # Two things to know
///
/// A handler must not have the name of its own module: the module and the type that stands for the handler would share a
/// name. Re-export with `pub use validate::*;`, which takes the function and the type.
///
/// On the blocking pool a handler cannot be dropped: when its time is over, its step goes on without it, and it
/// runs to its end unless it looks at `StepContext::is_cancelled`.
#[proc_macro_attribute]
pub fn step_handler(attribute: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(attribute.into(), item.into()).into()
}

/// Gives an `async fn` the events that it asks for: those that steps publish (`publishes_events` in their template), and the
/// engine's own, whose names begin with `tasker.`.
///
/// ```standalone_crate
/// use tasker::{LifecycleEvent, Payload, StepEvent, event_subscriber};
///
/// #[derive(serde::Deserialize)]
/// struct Order { total: f64 }
///
/// struct Mailer; // shared with `tasker::app().state(..)`
///
/// /// What it returns an error for, it is given again.
/// #[event_subscriber(event = "order.validated")]
/// async fn confirm(Payload(order): Payload<Order>, #[state] mailer: &Mailer) -> anyhow::Result<()> {
///     let _ = (order.total, mailer);
///     Ok(())
/// }
///
/// #[event_subscriber(event = "order.*", event = "invoice.paid", name = "audit", from = "oldest")]
/// async fn write_down(event: StepEvent) {
///     println!("{} at {}", event.name, event.published_at);
/// }
///
/// #[event_subscriber(event = "tasker.task.failed")]
/// async fn alarm(event: LifecycleEvent) {
///     println!("{}: task {}", event.kind, event.event.context.task_uuid);
/// }
/// # fn main() {}
/// ```
///
/// | key | |
/// |---|---|
/// | `event` | which events: a name, `order.*` for all that begin so, `*` for all but the engine's own; may be repeated |
/// | `name` | the subscriber's name, under which the database keeps what it was given; the function's where none is given |
/// | `from` | `"oldest"`: a new subscriber is given what was stored before it came, too |
/// | `crate` | the path of `tasker`, where it has another name |
///
/// The function takes one event (`StepEvent`, `StepEventContext`, `LifecycleEvent`, or `Payload<T>` for its payload read as a `T`)
/// and references to values of the application's state.
#[proc_macro_attribute]
pub fn event_subscriber(attribute: TokenStream, item: TokenStream) -> TokenStream {
    subscriber::expand(attribute.into(), item.into()).into()
}

/// Says of each error of an application whether the engine may try again after it.
///
/// The type is a `std::error::Error`; its text, with that of its causes, is the failure's message. Each variant, or the
/// whole type for all variants that do not say, has `#[step(..)]` with
///
/// | | |
/// |---|---|
/// | `retryable` | another try may succeed: the step's policy decides |
/// | `permanent` | it fails however often it is tried |
/// | `transparent` | as the one error inside says |
/// | `code = "SOLD_OUT"` | a stable word for programs; without, the variant's name in capitals |
/// | `error_type = "timeout"` | the class that others see; without, `retryable_error` or `permanent_error` |
/// | `retry_after = "2s"` | wait at least so long |
/// | `crate = path` | on the type: where the crate `tasker` is found, if not at `::tasker` |
///
/// ```
/// use tasker::{StepError, StepFailure};
///
/// #[derive(Debug, thiserror::Error, StepFailure)]
/// #[step(retryable)]
/// enum PaymentError {
///     #[error("the gateway is busy")]
///     Busy,
///     #[error("the card was declined")]
///     #[step(permanent, code = "CARD_DECLINED")]
///     Declined,
///     #[error(transparent)]
///     #[step(transparent)]
///     Other(#[from] StepError),
/// }
///
/// assert!(PaymentError::Busy.into_step_error().is_retryable());
/// let declined = PaymentError::Declined.into_step_error();
/// assert_eq!((declined.is_retryable(), declined.code()), (false, Some("CARD_DECLINED")));
/// ```
#[proc_macro_derive(StepFailure, attributes(step))]
pub fn derive_step_failure(item: TokenStream) -> TokenStream {
    failure::expand(item.into()).into()
}

/// Makes the variants of an enum the branches of a decision: each names the steps that go on.
///
/// A variant without an attribute names the step that is called like it, in snake case. A variant has no fields; what else
/// there is to tell goes into the route's context.
///
/// | | |
/// |---|---|
/// | `#[route("ask_manager", "note_delay")]` | on a variant: the steps that go on |
/// | `#[route()]` | on a variant: none goes on |
/// | `#[route(crate = path)]` | on the enum: where the crate `tasker` is found, if not at `::tasker` |
///
/// The handler of the decision returns a `Route` to a variant. `check` compares the branches with the template: each step
/// that a variant names comes after the decision there, and each branch that begins there is named by a variant.
///
/// ```standalone_crate
/// use serde_json::json;
/// use tasker::{Route, step_handler};
///
/// #[derive(Debug, PartialEq, Route)]
/// enum Approval {
///     Approve, // the step `approve`
///     #[route("ask_manager", "note_delay")]
///     Manager,
///     #[route()]
///     Nothing,
/// }
///
/// #[step_handler]
/// async fn route_approval(#[input] cents: u64) -> Route<Approval> {
///     match cents {
///         0 => Route::to(Approval::Nothing),
///         1..100_000 => Route::to(Approval::Approve),
///         _ => Route::to(Approval::Manager).with_context(json!({ "limit": 100_000 })),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let route = route_approval(150_000).await;
/// assert_eq!(route.branch(), &Approval::Manager);
/// assert_eq!(route.steps(), ["ask_manager", "note_delay"]);
/// # }
/// ```
#[proc_macro_derive(Route, attributes(route))]
pub fn derive_route(item: TokenStream) -> TokenStream {
    route::expand(item.into()).into()
}
