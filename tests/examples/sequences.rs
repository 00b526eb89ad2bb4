//! The sequences and graphs of numbers: chain, diamond, tree, mixed graph.

use serde_json::{Value, json};
use tasker::testing::{TestApp, TestRun};
use tasker::{StepState, TaskRequest};

#[path = "../../examples/diamond/handlers.rs"]
mod diamond;
#[path = "../../examples/linear/handlers.rs"]
mod linear;
#[path = "../../examples/mixed_dag/handlers.rs"]
mod mixed_dag;
#[path = "../../examples/tree/handlers.rs"]
mod tree;

use crate::number;

const LINEAR: &str = include_str!("../../examples/linear/templates/mathematical_sequence.yaml");
const DIAMOND: &str = include_str!("../../examples/diamond/templates/diamond_pattern.yaml");
const TREE: &str = include_str!("../../examples/tree/templates/hierarchical_tree.yaml");
const MIXED_DAG: &str = include_str!("../../examples/mixed_dag/templates/complex_dag.yaml");

async fn run(template: &str, name: &str, even_number: Value) -> TestRun {
    TestApp::new().template(template).run(name, json!({ "even_number": even_number })).await
}

#[track_caller]
fn assert_results(run: &TestRun, expected: &[(&str, Value)]) {
    run.assert_completed();
    let found: Vec<(&str, Value)> = run
        .view()
        .steps
        .iter()
        .map(|step| (step.name.as_str(), step.result.clone().expect("a completed step has a result")))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn six_becomes_sixty_nine_step_by_step() {
    let run = run(LINEAR, "mathematical_sequence", json!(6)).await;
    let steps = ["linear_step_1", "linear_step_2", "linear_step_3", "linear_step_4"];
    assert_results(
        &run,
        &[36, 46, 138, 69]
            .map(Value::from)
            .into_iter()
            .enumerate()
            .map(|(at, value)| (steps[at], value))
            .collect::<Vec<_>>(),
    );
    run.assert_order(steps);
}

/// The request of the older engine's first integration test, as its text stands there.
#[tokio::test]
async fn the_request_of_the_first_test_is_taken_whole() {
    let task_request = json!({
        "namespace": "linear_workflow",
        "name": "mathematical_sequence",
        "version": "1.0.0",
        "context": {
            "even_number": 6,
            "test_run_id": uuid::Uuid::new_v4().to_string()
        },
        "initiator": "rust_integration_test",
        "source_system": "integration_test_suite",
        "reason": "Test native Rust linear workflow execution",
        "priority": 5,
        "claim_timeout_seconds": 300
    });
    let request: TaskRequest = serde_json::from_value(task_request.clone()).expect("it is a request");
    let run = TestApp::new().template(LINEAR).run_request(request).await;
    run.assert_completed().assert_result("linear_step_4", &json!(69));
    let (row, input) = (&run.view().row, &run.view().input);
    let template = &row.pinned.template;
    let timeout = input.claim_timeout.map(|timeout| timeout.as_secs());
    let context: Value = serde_json::from_str(&input.context).expect("it is JSON");
    let taken = json!({
        "namespace": template.namespace, "name": template.name, "version": template.version,
        "context": context, "initiator": input.initiator, "source_system": input.source_system,
        "reason": input.reason, "priority": row.priority, "claim_timeout_seconds": timeout,
    });
    assert_eq!(taken, task_request);
}

#[tokio::test]
async fn a_hundred_sequences_at_once_all_end_as_one_does() {
    let app = TestApp::new().template(LINEAR);
    let mut tasks = Vec::new();
    for number in 0..100 {
        let context = json!({ "even_number": 6, "test_run_id": format!("perf_test_{number}") });
        tasks.push(app.start("mathematical_sequence", context).await);
    }
    let (engine, waited) = (app.engine().clone(), tasks.clone());
    app.drive(async move {
        for task in waited {
            engine.wait(task).await.expect("it comes to its end");
        }
    })
    .await;
    for task in tasks {
        app.look(task).await.assert_completed().assert_result("linear_step_4", &json!(69));
    }
}

#[tokio::test]
async fn each_step_of_the_sequence_tells_what_it_did() {
    let run = run(LINEAR, "mathematical_sequence", json!(6)).await;
    let told = |step: &str| run.step(step).detail.as_ref().expect("it told something")["metadata"].clone();
    assert_eq!(
        told("linear_step_1"),
        json!({ "operation": "square", "step_type": "initial", "input_refs": { "even_number": "task.context.even_number" } })
    );
    assert_eq!(
        told("linear_step_2"),
        json!({ "operation": "add", "step_type": "intermediate", "constant": 10, "previous_step_value": 36 })
    );
    assert_eq!(
        told("linear_step_3"),
        json!({ "operation": "multiply", "step_type": "intermediate", "factor": 3, "previous_step_value": 46 })
    );
    assert_eq!(
        told("linear_step_4"),
        json!({
            "operation": "divide",
            "step_type": "final",
            "divisor": 2,
            "workflow_summary": {
                "final_result": 69,
                "step_progression": { "step_1": 36, "step_2": 46, "step_3": 138, "step_4": 69 },
                "total_steps_executed": 4
            }
        })
    );
}

#[tokio::test]
async fn an_odd_number_is_refused_and_not_tried_again() {
    let run = run(LINEAR, "mathematical_sequence", json!(7)).await;
    run.assert_failed()
        .assert_step("linear_step_1", StepState::Failed)
        .assert_step("linear_step_2", StepState::Pending);
    let step = run.step("linear_step_1");
    let detail = step.detail.as_ref().expect("a failed step says why");
    assert_eq!((step.attempt, step.attempts.len()), (1, 0));
    assert_eq!(detail["error_code"], "VALIDATION_ERROR");
    assert_eq!(detail["error_type"], "ValidationError");
    assert_eq!(detail["message"], "Number must be even");
    assert_eq!(detail["retryable"], false);
}

#[tokio::test]
async fn a_diamond_joins_its_branches() {
    let run = run(DIAMOND, "diamond_pattern", json!(6)).await;
    let expected = [
        ("diamond_start", json!(36)),
        ("diamond_branch_b", json!(1_296)),
        ("diamond_branch_c", json!(1_296)),
        ("diamond_end", json!(2_821_109_907_456_u64)),
    ];
    assert_results(&run, &expected);
    run.assert_order(["diamond_start", "diamond_branch_b", "diamond_end"]);
    run.assert_order(["diamond_start", "diamond_branch_c", "diamond_end"]);
}

#[tokio::test]
async fn a_diamond_that_outgrows_its_type_fails_for_good_with_a_code() {
    let run = run(DIAMOND, "diamond_pattern", json!(16)).await;
    run.assert_failed().assert_step("diamond_end", StepState::Failed);
    let step = run.step("diamond_end");
    assert_eq!(step.attempt, 1);
    assert_eq!(step.detail.as_ref().expect("it says why")["error_code"], "TOO_LARGE");
}

#[tokio::test]
async fn a_tree_multiplies_its_leaves_exactly() {
    let run = run(TREE, "hierarchical_tree", json!(6)).await;
    let leaf = json!(1_679_616);
    let expected = [
        ("tree_root", json!(36)),
        ("tree_branch_left", json!(1_296)),
        ("tree_branch_right", json!(1_296)),
        ("tree_leaf_d", leaf.clone()),
        ("tree_leaf_e", leaf.clone()),
        ("tree_leaf_f", leaf.clone()),
        ("tree_leaf_g", leaf),
        ("tree_final_convergence", json!("63340286662973277706162286946811886609896461828096")),
    ];
    assert_results(&run, &expected);
}

#[tokio::test]
async fn a_mixed_graph_joins_all_that_it_forked() {
    let run = run(MIXED_DAG, "complex_dag", json!(2)).await;
    let expected = [
        ("dag_init", json!(4)),
        ("dag_process_left", json!(16)),
        ("dag_process_right", json!(16)),
        ("dag_validate", json!(65_536)),
        ("dag_transform", json!(256)),
        ("dag_analyze", json!(256)),
        // 2^64: one more than 64 bits hold.
        ("dag_finalize", json!("18446744073709551616")),
    ];
    assert_results(&run, &expected);
}

#[tokio::test]
async fn a_number_of_any_size_may_come_in_as_digits() {
    let two_to_the_70 = "1180591620717411303424";
    let run = run(TREE, "hierarchical_tree", json!(two_to_the_70)).await;
    run.assert_completed().assert_result("tree_root", &json!("1393796574908163946345982392040522594123776"));
}

#[tokio::test]
async fn an_odd_number_is_refused_by_every_graph() {
    for (template, name, first) in [
        (DIAMOND, "diamond_pattern", "diamond_start"),
        (TREE, "hierarchical_tree", "tree_root"),
        (MIXED_DAG, "complex_dag", "dag_init"),
    ] {
        let run = run(template, name, json!(7)).await;
        run.assert_failed();
        let step = run.step(first);
        assert_eq!(step.attempt, 1, "{run}");
        assert_eq!(step.detail.as_ref().expect("it says why")["error_code"], "VALIDATION_ERROR", "{run}");
    }
}
