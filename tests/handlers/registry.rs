//! The registry of this binary: every handler of these tests is in it.

use async_trait::async_trait;
use tasker::{
    AppState, NeededHandler, RustStepHandler, RustStepHandlerRegistry, StepExecutionResult, StepHandlerConfig,
    TaskSequenceStep, register_handler, step_handler,
};
use tasker_runtime::handler::FoundBy;

mod one {
    #[tasker::step_handler(name = "taken_twice")]
    pub(super) async fn first() {}
}

mod other {
    #[tasker::step_handler(name = "taken_twice")]
    pub(super) async fn second() {}
}

struct ByHand;

#[async_trait]
impl RustStepHandler for ByHand {
    fn new(_: StepHandlerConfig) -> Self {
        Self
    }

    fn name(&self) -> &str {
        "by_hand"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, "done".into(), None))
    }
}

register_handler!(ByHand);

struct NeedsConfig;

#[step_handler]
impl NeedsConfig {
    fn new(config: &StepHandlerConfig) -> anyhow::Result<Self> {
        config.get::<String>("url")?;
        Ok(Self)
    }

    async fn call(&self) {}
}

#[test]
fn every_linked_handler_is_in_a_new_registry() {
    let names = RustStepHandlerRegistry::new().list_handlers();
    assert!(names.is_sorted());
    for name in ["by_hand", "charge_card", "inputs", "sum", "taken_twice", "validate_order"] {
        assert!(names.iter().any(|listed| listed == name), "{name} is not among {names:?}");
    }
    assert!(RustStepHandlerRegistry::empty().list_handlers().is_empty());
}

#[test]
fn a_name_taken_twice_is_told_with_both_places() {
    let report = RustStepHandlerRegistry::new().problems(&AppState::default(), &[]).to_string();
    let line = report.lines().find(|line| line.contains("taken_twice")).expect("it is reported");
    assert!(line.starts_with("handler `taken_twice` is registered twice: "), "{line}");
    assert!(line.contains("registry.rs:11 (handlers::registry::one)"), "{line}");
    assert!(line.contains("registry.rs:16 (handlers::registry::other)"), "{line}");
}

#[test]
fn missing_state_and_missing_handlers_are_in_the_same_report() {
    let needed = [NeededHandler { template: "shop".into(), step: "ship".into(), callable: "ship_by_drone".into() }];
    let report = RustStepHandlerRegistry::new().problems(&AppState::default().with(1_u16), &needed).to_string();
    let line = report.lines().find(|line| line.contains("handler `stateful`")).expect("it is reported");
    assert!(line.contains("arguments.rs:"), "{line}");
    assert!(
        line.ends_with(
            "takes `handlers::arguments::Pool` from the application's state, which has none: add it with `.state(..)`"
        ),
        "{line}"
    );
    assert!(!report.contains("takes `u16`"), "{report}");
    let line = report.lines().find(|line| line.contains("ship_by_drone")).expect("it is reported");
    assert!(line.starts_with("template `shop` needs handler `ship_by_drone`; this binary has: `add_up`, "), "{line}");
    assert!(
        line.ends_with("; if `ship_by_drone` is in a library crate, add `use that_crate as _;` to main.rs"),
        "{line}"
    );
}

#[tokio::test]
async fn all_handlers_can_be_made_or_it_is_told_which_cannot() {
    let error = RustStepHandlerRegistry::register_all_handlers().await.expect_err("one needs a url").to_string();
    let line = error.lines().find(|line| line.contains("needs_config")).expect("it is reported");
    assert!(
        line.ends_with("cannot be made without `initialization`: the handler's `initialization` has no `url`"),
        "{line}"
    );
    assert!(error.contains("taken_twice"), "{error}");
}

#[test]
fn a_rust_path_leads_to_the_function_or_type_of_that_name() {
    let registry = RustStepHandlerRegistry::new();
    let how = |callable| registry.find(callable, "a_step").map(|found| (found.name().to_owned(), found.found_by()));
    assert_eq!(how("app::orders::ChargeCard"), Some(("charge_card".to_owned(), FoundBy::RustName)));
    assert_eq!(how("app::orders::ByHand"), Some(("by_hand".to_owned(), FoundBy::RustName)));
    assert_eq!(how("rust::orders::Described"), Some(("described".to_owned(), FoundBy::Alias)));
    assert_eq!(how("app::orders::Unknown"), None);
}
