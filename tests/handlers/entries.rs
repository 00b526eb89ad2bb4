//! What the registry knows of a handler.

use tasker::{Backoff, RetrySpec, RustStepHandlerRegistry, step_handler};
use tasker_runtime::handler::{DependencySpec, HandlerEntry};

/// Adds up the order.
///
/// A second paragraph,
///   indented.
#[step_handler(
    name = "described",
    alias = "rust::orders::Described",
    alias = "described_before",
    timeout = "30s",
    retry(max_attempts = 2, backoff = "fibonacci", base = "100ms", max = "5s", max_losses = 1)
)]
async fn described(
    #[dependency(earlier)] one: u8,
    #[dependency("by_name")] two: Option<u8>,
    #[state] state: u16,
) -> u64 {
    u64::from(one) + two.map_or(0, u64::from) + u64::from(state)
}

#[step_handler(name = "renamed_earlier", retry(retryable = false))]
async fn earlier() -> u8 {
    1
}

#[step_handler(blocking)]
fn computing() {}

fn entry(name: &str) -> &'static HandlerEntry {
    RustStepHandlerRegistry::new().find_entry(name).expect("it is linked")
}

#[test]
fn doc_comments_and_places_travel_with_the_handler() {
    let entry = entry("described");
    assert_eq!(entry.docs, "Adds up the order.\n\nA second paragraph,\n  indented.");
    assert_eq!(entry.rust_name, "described");
    assert!(entry.file.ends_with("entries.rs"), "{}", entry.file);
    assert_eq!(entry.module, "handlers::entries");
    assert_eq!(entry.line, 10);
}

#[test]
fn the_attribute_says_retry_timeout_and_names() {
    let entry = entry("rust::orders::Described");
    assert_eq!(entry.aliases, ["rust::orders::Described", "described_before"]);
    assert_eq!(entry.timeout_ms, Some(30_000));
    let expected = RetrySpec {
        retryable: None,
        max_attempts: Some(2),
        max_losses: Some(1),
        backoff: Some(Backoff::Fibonacci),
        backoff_base_ms: Some(100),
        max_backoff_ms: Some(5_000),
    };
    assert_eq!(entry.retry, expected);
    assert!(!entry.blocking);
}

#[test]
fn what_the_attribute_leaves_out_is_left_to_others() {
    let entry = entry("computing");
    assert!(entry.blocking);
    assert_eq!((entry.timeout_ms, entry.retry, entry.docs), (None, RetrySpec::NONE, ""));
    assert_eq!(self::entry("renamed_earlier").retry.retryable, Some(false));
}

#[test]
fn dependencies_have_the_names_of_their_handlers_and_say_what_is_optional() {
    let expected = [
        DependencySpec { step: "renamed_earlier", optional: false },
        DependencySpec { step: "by_name", optional: true },
    ];
    assert_eq!(entry("described").dependencies, expected);
}

#[test]
fn needs_of_state_have_the_types_names() {
    let needs: Vec<_> = entry("described").state.iter().map(|need| (need.type_name)()).collect();
    assert_eq!(needs, ["u16"]);
}
