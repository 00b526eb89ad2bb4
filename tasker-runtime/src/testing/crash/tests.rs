use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tasker_types::{StepExecutionResult, StepState, TaskSequenceStep};
use uuid::Uuid;

use super::*;
use crate::core::AttemptOutcome;
use crate::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};

const DIAMOND: &str = "name: diamond
steps:
  - { name: first }
  - { name: left, dependencies: [first] }
  - { name: right, dependencies: [first] }
  - { name: last, dependencies: [left, right] }
";

/// How often each step of each task was begun.
type Begun = Arc<Mutex<BTreeMap<Uuid, u32>>>;

fn count(begun: &Begun, step: &TaskSequenceStep) -> u32 {
    let mut begun = begun.lock().unwrap();
    let times = begun.entry(step.workflow_step.workflow_step_uuid).or_default();
    *times += 1;
    *times
}

fn diamond(begun: &Begun) -> TestApp {
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty()).template(DIAMOND);
    ["first", "left", "right", "last"].into_iter().fold(app, |app, name| {
        let begun = begun.clone();
        app.mock(name, move |step| {
            count(&begun, step);
            Ok(json!([step.workflow_step.name, step.dependency_results.iter().count()]))
        })
    })
}

#[tokio::test]
async fn a_task_comes_to_the_same_end_at_whichever_commit_its_worker_dies() {
    let begun = Begun::default();
    let crashes = diamond(&begun).crash_at_every_commit("diamond", json!({})).await;
    crashes.assert_completed().assert_same_end();
    assert!(crashes.iter().len() >= 8, "the task and three outcomes, before and after: {}", crashes.iter().len());
    for crash in &crashes {
        for step in &crash.run().view().steps {
            let times = begun.lock().unwrap()[&crash.run().view().row.id.step_uuid(step.number)];
            assert!((1..=2).contains(&times), "`{}` after {crash}", step.name);
            assert!(times <= step.attempt, "each begin is a recorded attempt: `{}` after {crash}", step.name);
            assert_eq!(step.attempts.len(), usize::from(step.losses > 0), "`{}` after {crash}", step.name);
        }
    }
}

#[tokio::test]
async fn a_result_that_was_not_written_is_made_again_and_one_that_was_is_not() {
    let begun = Begun::default();
    let crashes = diamond(&begun).crash_at_every_commit("diamond", json!({})).await;
    let of_first = |when| {
        let found = crashes.iter().find(|crash| crash.what().contains("the result of `first`") && crash.when() == when);
        let run = found.expect("its result is a commit").run();
        (begun.lock().unwrap()[&run.view().row.id.step_uuid(run.step("first").number)], run.step("first").clone())
    };
    let (times, step) = of_first(When::Before);
    assert_eq!((times, step.attempt, step.losses, step.failures), (2, 2, 1, 0));
    assert_eq!(step.attempts[0].outcome, AttemptOutcome::Lost);
    let (times, step) = of_first(When::After);
    assert_eq!((times, step.attempt, step.losses), (1, 1, 0));
}

#[tokio::test]
async fn every_crash_says_where_it_was() {
    let crashes = diamond(&Begun::default()).crash_at_every_commit("diamond", json!({})).await;
    let told: Vec<String> = crashes.iter().map(ToString::to_string).collect();
    assert_eq!(told[..2], ["a crash before commit 1 (the task)", "a crash after commit 1 (the task)"]);
    assert!(told.iter().any(|told| told.contains("(the result of `left`, the result of `right`)")), "{told:#?}");
    let commits: Vec<usize> = crashes.iter().map(Crash::commit).collect();
    let expected: Vec<usize> = (1..=commits.len() / 2).flat_map(|commit| [commit, commit]).collect();
    assert_eq!(commits, expected);
}

#[tokio::test]
async fn retries_that_wait_for_hours_survive_too() {
    let yaml = "name: t\nsteps: [{ name: slow, retry: { backoff: linear, backoff_base_ms: 3600000, max_backoff_ms: 7200000 } }]";
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty()).template(yaml).mock("slow", |step| {
        anyhow::ensure!(step.workflow_step.failures > 0, "not yet");
        Ok(json!(step.workflow_step.failures))
    });
    let crashes = app.crash_at_every_commit("t", json!({})).await;
    crashes.assert_completed().assert_same_end();
    for words in ["the failure of `slow`", "a retry that was due"] {
        assert!(crashes.iter().any(|crash| crash.what() == words), "{words}");
    }
}

#[tokio::test]
async fn a_step_that_may_run_once_only_fails_where_it_was_lost() {
    let yaml = "name: t\nsteps: [{ name: once, retry: { retryable: false } }]";
    let begun = Begun::default();
    let counted = begun.clone();
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(yaml)
        .mock("once", move |step| Ok(json!(count(&counted, step))));
    let crashes = app.crash_at_every_commit("t", json!({})).await;
    assert!(begun.lock().unwrap().values().all(|&times| times <= 1), "at most once");
    let failed: Vec<&Crash> = crashes.iter().filter(|crash| crash.run().state() == TaskState::Failed).collect();
    assert!(!failed.is_empty() && failed.len() < crashes.iter().len());
    let told = std::panic::catch_unwind(|| _ = crashes.assert_completed()).unwrap_err();
    let told = told.downcast_ref::<String>().unwrap();
    assert!(told.contains(&format!("after {}:", failed[0])), "{told}");
}

/// Sleeps, and tells when it began and when it ended.
struct Sleeper(Arc<Mutex<Vec<&'static str>>>);

#[async_trait]
impl RustStepHandler for Sleeper {
    fn new(_: StepHandlerConfig) -> Self {
        Self(Arc::default())
    }

    fn name(&self) -> &str {
        "sleeper"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        self.0.lock().unwrap().push("begun");
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.0.lock().unwrap().push("ended");
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(1), None))
    }
}

#[tokio::test]
async fn a_handler_beside_the_one_that_ends_is_cut_where_it_stands() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut registry = RustStepHandlerRegistry::empty();
    let shared = told.clone();
    registry.register("sleeper", move || Box::new(Sleeper(shared.clone())));
    let app = TestApp::with_handlers(registry)
        .template("name: t\nsteps: [{ name: quick }, { name: sleeper }]")
        .mock("quick", |_| Ok(json!(1)));
    let crashes = app.crash_at_every_commit("t", json!({})).await;
    crashes.assert_same_end();
    let told = told.lock().unwrap();
    let of = |what| told.iter().filter(|told| **told == what).count();
    assert!(of("begun") > of("ended"), "some never came to their end: {told:?}");
    for crash in crashes.iter().filter(|crash| crash.what() == "the result of `quick`") {
        assert_eq!((crash.run().step("sleeper").losses, crash.run().step("sleeper").state), (1, StepState::Completed));
    }
}

#[tokio::test]
#[should_panic(expected = "the task was refused")]
async fn a_task_that_is_refused_is_told() {
    diamond(&Begun::default()).crash_at_every_commit("no_such", json!({})).await;
}
