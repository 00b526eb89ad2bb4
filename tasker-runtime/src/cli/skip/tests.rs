use serde_json::json;
use tasker_types::StepNumber;

use super::*;
use crate::core::{Act, ByHand};
use crate::handler::RustStepHandlerRegistry;
use crate::testing::TestApp;

fn app(steps: &str) -> TestApp {
    TestApp::with_handlers(RustStepHandlerRegistry::empty()).template(format!("name: t\nsteps:\n{steps}"))
}

/// Why the step of this name was skipped.
fn why<'v>(view: &'v TaskView, name: &str) -> Option<Skip<'v>> {
    Skip::of(view, view.steps.iter().find(|step| step.name == name).unwrap())
}

#[tokio::test]
async fn of_several_decisions_the_one_that_did_not_choose_the_step_is_told() {
    let steps = "  - { name: first, type: decision }
  - { name: second, type: decision }
  - { name: both, handler: end, dependencies: [first, second] }
  - { name: other, handler: end, dependencies: [second] }
  - { name: after, handler: end, dependencies: [other, both] }
";
    let app = app(steps)
        .mock("first", |_| Ok(json!({ "activated_steps": ["both"] })))
        .mock("second", |_| Ok(json!({ "activated_steps": ["other"] })))
        .mock("end", |_| Ok(json!(1)));
    let run = app.run("t", json!({})).await;
    run.assert_completed().assert_skipped(["both", "after"]);
    assert_eq!(why(run.view(), "both"), Some(Skip::NotChosen { by: "second" }));
    assert_eq!(why(run.view(), "after"), Some(Skip::AfterSkipped { step: "both" }));
    assert_eq!(why(run.view(), "other"), None);
}

#[tokio::test]
async fn a_step_that_an_operator_skipped_names_who_did_and_is_no_reason_for_others() {
    let steps = "  - { name: choose, type: decision }
  - { name: fragile, dependencies: [choose] }
  - { name: other, handler: end, dependencies: [choose, fragile] }
";
    let app = app(steps)
        .mock("choose", |_| Ok(json!({ "activated_steps": ["fragile"] })))
        .mock("fragile", |_| anyhow::bail!("broken"))
        .mock("end", |_| Ok(json!(1)));
    let run = app.run("t", json!({})).await;
    run.assert_failed().assert_skipped(["other"]);
    let task = run.view().row.id;
    let skip = Act::End(StepNumber(1), ByHand::Skip);
    let engine = app.engine().clone();
    app.drive(async move { engine.act(task, skip, "ada", "it is not needed").await }).await.unwrap();
    let view = app.engine().store().find_task(task).await.unwrap().unwrap();
    assert_eq!(why(&view, "fragile"), Some(Skip::ByHand { by: "ada" }));
    assert_eq!(why(&view, "other"), Some(Skip::NotChosen { by: "choose" }));
}
