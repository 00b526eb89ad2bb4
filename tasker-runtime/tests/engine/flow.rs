//! Steps run when their dependencies are done, with what they need.

use serde_json::{Value, json};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::TestApp;
use tasker_types::TaskSequenceStep;

fn empty() -> TestApp {
    TestApp::with_handlers(RustStepHandlerRegistry::empty())
}

fn of(step: &TaskSequenceStep, name: &str) -> anyhow::Result<i64> {
    Ok(step.get_dependency_result_column_value(name)?)
}

const LINEAR: &str = "
name: mathematical_sequence
namespace_name: linear_workflow
steps:
  - { name: square }
  - { name: add, dependencies: [square] }
  - { name: multiply, dependencies: [add] }
  - { name: divide, dependencies: [multiply] }
";

#[tokio::test]
async fn a_chain_hands_each_result_on() {
    let app = empty()
        .template(LINEAR)
        .mock("square", |step| Ok(json!(step.get_input::<i64>("even_number")?.pow(2))))
        .mock("add", |step| Ok(json!(of(step, "square")? + 10)))
        .mock("multiply", |step| Ok(json!(of(step, "add")? * 3)))
        .mock("divide", |step| Ok(json!(of(step, "multiply")? / 2)));
    let run = app.run("mathematical_sequence", json!({ "even_number": 6 })).await;
    run.assert_completed().assert_order(["square", "add", "multiply", "divide"]);
    for (step, value) in [("square", 36), ("add", 46), ("multiply", 138), ("divide", 69)] {
        run.assert_result(step, &json!(value));
        assert_eq!(run.step(step).attempt, 1);
    }
}

#[tokio::test]
async fn a_fan_in_sees_every_ancestor_and_runs_once() {
    let mut yaml = "name: wide\nsteps:\n  - { name: root, handler: one }\n".to_owned();
    let mut leaves = Vec::new();
    for number in 0..500 {
        yaml.push_str(&format!("  - {{ name: leaf_{number}, handler: leaf, dependencies: [root] }}\n"));
        leaves.push(format!("leaf_{number}"));
    }
    yaml.push_str(&format!("  - {{ name: sum, dependencies: [{}] }}\n", leaves.join(", ")));
    let app = empty()
        .template(yaml)
        .mock("one", |_| Ok(json!(1)))
        .mock("leaf", |step| Ok(json!(of(step, "root")? + 1)))
        .mock("sum", |step| {
            let all = step.dependency_results.iter().map(|(_, result)| result.result.as_i64().unwrap_or(0));
            Ok(json!({ "sum": all.sum::<i64>(), "seen": step.dependency_results.len() }))
        });
    let run = app.run("wide", json!({})).await;
    run.assert_completed().assert_result("sum", &json!({ "sum": 1001, "seen": 501 }));
    assert!(run.view().steps.iter().all(|step| step.attempt == 1));
}

#[tokio::test]
async fn no_more_steps_run_at_once_than_there_are_slots() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    struct Count;
    #[async_trait::async_trait]
    impl tasker_runtime::handler::Layer for Count {
        async fn around(
            &self,
            _: &TaskSequenceStep,
            next: tasker_runtime::handler::Next<'_>,
        ) -> tasker_types::StepExecutionResult {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            let result = next.run().await;
            NOW.fetch_sub(1, Ordering::SeqCst);
            result
        }
    }
    let steps: String = (0..40).map(|number| format!("  - {{ name: s{number}, handler: nothing }}\n")).collect();
    let app = empty()
        .template(format!("name: many\nsteps:\n{steps}"))
        .slots(7)
        .layer(Count)
        .mock("nothing", |_| Ok(Value::Null));
    app.run("many", json!({})).await.assert_completed();
    assert_eq!(MOST.load(Ordering::SeqCst), 7);
}
