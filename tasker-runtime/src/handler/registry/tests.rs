//! The registry without any linked handler: entries are given to it by hand.

use serde_json::json;
use tasker_types::{RetrySpec, StepExecutionResult, TaskSequenceStep};

use super::*;
use crate::handler::StateNeed;

struct Named(&'static str, StepHandlerConfig);

#[async_trait::async_trait]
impl RustStepHandler for Named {
    fn new(config: StepHandlerConfig) -> Self {
        Self("by_itself", config)
    }

    fn name(&self) -> &str {
        self.0
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let uuid = step.workflow_step.workflow_step_uuid;
        Ok(StepExecutionResult::success(uuid, self.1.as_value().clone(), None))
    }
}

fn make(config: StepHandlerConfig) -> anyhow::Result<Box<dyn RustStepHandler>> {
    Ok(Box::new(Named::new(config)))
}

fn refuse(_: StepHandlerConfig) -> anyhow::Result<Box<dyn RustStepHandler>> {
    anyhow::bail!("no url")
}

const fn entry(name: &'static str, rust_name: &'static str, line: u32) -> HandlerEntry {
    HandlerEntry {
        name,
        aliases: &[],
        rust_name,
        docs: "",
        file: "src/orders.rs",
        line,
        module: "shop::orders",
        factory: make,
        blocking: false,
        retry: RetrySpec::NONE,
        timeout_ms: None,
        state: &[],
        dependencies: &[],
        branches: None,
        inputs: &[],
        result_schema: None,
    }
}

static CHARGE: HandlerEntry = HandlerEntry { aliases: &["rust::pay::Charge"], ..entry("charge", "ChargeCard", 3) };
static CHARGE_AGAIN: HandlerEntry = entry("charge", "charge", 9);
static CHARGE_ALIAS: HandlerEntry = HandlerEntry { aliases: &["charge"], ..entry("other", "other", 12) };
static STATEFUL: HandlerEntry =
    HandlerEntry { state: &[StateNeed::of::<u8>(), StateNeed::of::<String>()], ..entry("stateful", "stateful", 20) };
static NAMELESS: HandlerEntry = entry("", "Named", 30);
static UNBUILDABLE: HandlerEntry = HandlerEntry { factory: refuse, ..entry("", "Refuses", 40) };

fn registry(entries: &[&'static HandlerEntry]) -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::empty();
    for entry in entries {
        registry.add(entry);
    }
    registry
}

fn needed(callable: &str) -> NeededHandler {
    NeededHandler { template: "shop".to_owned(), step: "a_step".to_owned(), callable: callable.to_owned() }
}

fn how(registry: &RustStepHandlerRegistry, callable: &str, step: &str) -> Option<FoundBy> {
    registry.find(callable, step).map(|found| found.found_by())
}

#[test]
fn names_come_before_aliases_and_rust_names_before_the_steps_name() {
    let registry = registry(&[&CHARGE]);
    assert_eq!(how(&registry, "charge", "x"), Some(FoundBy::Name));
    assert_eq!(how(&registry, "rust::pay::Charge", "x"), Some(FoundBy::Alias));
    assert_eq!(how(&registry, "any::path::ChargeCard", "x"), Some(FoundBy::RustName));
    assert_eq!(how(&registry, "any::path::Unknown", "charge"), Some(FoundBy::StepName));
    assert_eq!(how(&registry, "any::path::Unknown", "x"), None);
}

#[test]
fn a_mistyped_name_never_falls_back_to_the_steps_name() {
    assert_eq!(how(&registry(&[&CHARGE]), "chrage", "charge"), None);
}

#[test]
fn a_guessed_handler_comes_with_a_warning() {
    let found = registry(&[&CHARGE]).find("a::Unknown", "charge").expect("the step's name leads to it");
    let text = "there is no handler `a::Unknown`; the step runs the handler `charge`, which has its name: write `callable: charge`";
    assert_eq!(found.warning().as_deref(), Some(text));
}

#[test]
fn all_duplicates_are_told_with_their_places() {
    let report = registry(&[&CHARGE, &CHARGE_AGAIN, &CHARGE_ALIAS]).problems(&AppState::default(), &[]);
    assert_eq!(
        report.to_string(),
        "handler `charge` is registered 3 times: src/orders.rs:3 (shop::orders), src/orders.rs:9 (shop::orders), \
         src/orders.rs:12 (shop::orders)"
    );
}

#[test]
fn registering_by_hand_settles_who_has_the_name() {
    let mut registry = registry(&[&CHARGE, &CHARGE_AGAIN]);
    registry.register("charge", || Box::new(Named("mine", StepHandlerConfig::default())));
    assert!(registry.problems(&AppState::default(), &[]).is_empty());
    assert_eq!(registry.resolve("charge").expect("it is registered").name(), "mine");
}

#[test]
fn one_report_has_everything_that_is_missing() {
    let registry = registry(&[&CHARGE, &STATEFUL]);
    let state = AppState::default().with(1_u8);
    let report = registry.problems(&state, &[needed("ship"), needed("ship"), needed("charge"), needed("pack")]);
    assert_eq!(
        report.to_string(),
        "handler `stateful`, src/orders.rs:20 (shop::orders), takes `alloc::string::String` from the application's state, \
         which has none: add it with `.state(..)`\n\
         template `shop` needs handler `ship`; this binary has: `charge`, `stateful`; \
         if `ship` is in a library crate, add `use that_crate as _;` to main.rs\n\
         template `shop` needs handler `pack`; this binary has: `charge`, `stateful`; \
         if `pack` is in a library crate, add `use that_crate as _;` to main.rs"
    );
}

#[test]
fn a_handler_without_a_name_is_asked_for_it() {
    let registry = registry(&[&NAMELESS, &UNBUILDABLE]);
    assert_eq!(registry.list_handlers(), ["by_itself"]);
    assert_eq!(
        registry.problems(&AppState::default(), &[]).to_string(),
        "handler `Refuses`, src/orders.rs:40 (shop::orders), cannot be made without `initialization`: no url; \
         to register it without making it, give its name: `register_handler!(\"name\", Refuses)`"
    );
}

#[tokio::test]
async fn a_factory_gets_the_templates_initialization() {
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register_handler("echo", |config| Box::new(Named::new(config)));
    let found = registry.find("echo", "a_step").expect("it is registered");
    let handler = found.build(json!({ "limit": 3 }).into()).expect("it can be made");
    let step = crate::testing::create_test_step_data(json!({}));
    assert_eq!(handler.call(&step).await.expect("it runs").result, json!({ "limit": 3 }));
    assert!(found.entry().is_none());
}

#[test]
fn handlers_are_listed_in_order() {
    let mut registry = registry(&[&STATEFUL, &CHARGE]);
    registry.register("a", || Box::new(Named("a", StepHandlerConfig::default())));
    assert_eq!(registry.list_handlers(), ["a", "charge", "stateful"]);
    assert!(registry.is_registered("rust::pay::Charge"));
    assert!(!registry.is_registered("b"));
}
