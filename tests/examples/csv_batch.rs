//! A file is cut into batches, and what the workers find is what a plain loop finds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasker::testing::{TestApp, TestRun};
use tasker::{StepState, step_handler};

#[allow(clippy::cast_possible_truncation, reason = "kept as the guide has it")]
#[path = "../../examples/csv_batch/guide.rs"]
mod guide;
#[path = "../../examples/csv_batch/handlers.rs"]
mod handlers;
#[path = "../../examples/csv_batch/products.rs"]
mod products;

use self::products::Counted;
use crate::programs::{self, command, database, printed};

/// The longest time that anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

const YAML: &str = include_str!("../../examples/csv_batch/templates/csv_batch.yaml");

fn input(folder: &Path, rows: u64) -> Value {
    json!({ "path": folder.join("products.csv"), "rows": rows, "batch_size": 200 })
}

async fn run(rows: u64) -> TestRun {
    run_on(YAML, rows).await
}

async fn run_on(yaml: &str, rows: u64) -> TestRun {
    let folder = tempfile::tempdir().expect("a folder can be made");
    TestApp::new().template(yaml).run("csv_batch", input(folder.path(), rows)).await
}

#[tokio::test]
async fn five_workers_find_what_a_plain_loop_finds() {
    let run = run(1_000).await;
    let mut counted = Counted::default();
    products::text(1_000).lines().skip(1).for_each(|row| counted.add(row));
    assert_eq!((counted.items_processed, counted.items_failed), (1_000, 10));
    run.assert_completed().assert_result(
        "total_products",
        &json!({
            "worker_count": 5,
            "items_processed": 1_000,
            "items_succeeded": counted.items_succeeded,
            "items_failed": counted.items_failed,
            "value_cents": counted.value_cents,
            "last_cursor": 1_000,
        }),
    );
    for (index, name) in (0..).zip(["001", "002", "003", "004", "005"]) {
        let result = run.result(&format!("process_batch_{name}"));
        let (start, end) = (index * 200, (index + 1) * 200);
        assert_eq!((&result["batch_id"], &result["items_processed"]), (&json!(name), &json!(200)));
        assert_eq!((&result["start_cursor"], &result["end_cursor"]), (&json!(start), &json!(end)));
        assert_eq!((&result["batch_size"], &result["last_cursor"]), (&json!(200), &json!(end)));
    }
}

#[tokio::test]
async fn the_last_batch_is_as_small_as_the_rest_of_the_file() {
    let run = run(401).await;
    run.assert_completed();
    assert_eq!(run.result("process_batch_003")["batch_size"], 1);
    assert_eq!(run.result("total_products")["items_processed"], 401);
}

#[tokio::test]
async fn a_file_without_products_reaches_the_last_step() {
    let run = run(0).await;
    run.assert_completed().assert_step("process_batch", StepState::Skipped);
    assert_eq!(run.result("total_products")["worker_count"], 0);
    assert_eq!(run.result("total_products")["items_processed"], 0);
}

/// Takes the results of all workers at once, each under the name of its step.
#[step_handler]
async fn count_products(#[dependencies(prefix = "process_batch_")] all: BTreeMap<String, Counted>) -> (usize, u64) {
    (all.len(), all.values().map(|counted| counted.items_processed).sum())
}

#[tokio::test]
async fn an_argument_takes_the_results_of_all_workers_and_is_empty_without_batches() {
    let yaml = YAML.replace("- name: total_products", "- name: total_products\n    handler: count_products");
    run_on(&yaml, 1_000).await.assert_completed().assert_result("total_products", &json!([5, 1_000]));
    run_on(&yaml, 0).await.assert_completed().assert_result("total_products", &json!([0, 0]));
}

#[tokio::test]
async fn the_sums_are_the_same_whenever_the_worker_dies() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let app = TestApp::new().template(YAML);
    let crashes = app.crash_at_every_commit("csv_batch", input(folder.path(), 1_000)).await;
    crashes.assert_completed().assert_same_end();
}

/// The task that was submitted last, as `task show` tells it, once there is one.
fn shown(database: &Path) -> Value {
    let output = programs::run("csv_batch", &["task", "show", "@last", "-o", "json"], database);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// The workers of a task that completed: their names, attempts and ends.
fn completed(task: &Value) -> Vec<[Value; 3]> {
    let steps = task["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_worker = |step: &&Value| step["name"].as_str().is_some_and(|name| name.starts_with("process_batch_"));
    let workers = steps.iter().filter(is_worker).filter(|step| step["current_state"] == "completed");
    workers.map(|step| ["name", "attempts", "finished_at"].map(|key| step[key].clone())).collect()
}

/// A program that is killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn eventually(database: &Path, is: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let task = shown(database);
        if is(&task) {
            return task;
        }
        assert!(began.elapsed() < DEADLINE, "not within {DEADLINE:?}: {task}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(arguments: &[&str], database: &Path) -> Running {
    let mut command = command("csv_batch", arguments, database);
    Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the example starts"))
}

#[test]
fn batches_go_on_where_a_killed_worker_left_them() {
    let (folder, database) = database();
    let mut input = input(folder.path(), 1_000);
    input["pace_ms"] = json!(1_000);
    let killed = start(&["run", "csv_batch", "-i", &input.to_string(), "--wait"], &database);
    let before = eventually(&database, |task| !completed(task).is_empty());
    drop(killed);
    assert_eq!((before["status"].as_str(), before["total_steps"].as_u64()), (Some("running"), Some(8)));
    let worker = start(&["dev"], &database);
    let after = eventually(&database, |task| task["status"] == "completed");
    drop(worker);
    let ended = completed(&after);
    assert_eq!(ended.len(), 5);
    assert!(completed(&before).iter().all(|worker| ended.contains(worker)), "what was done is not done again");
    let mut counted = Counted::default();
    products::text(1_000).lines().skip(1).for_each(|row| counted.add(row));
    assert_eq!(after["final_result"]["value_cents"], counted.value_cents);
    let steps: Vec<&Value> = after["steps"].as_array().expect("there are steps").iter().collect();
    assert!(steps.iter().any(|step| step["attempts"] == 2), "those that ran were lost, and ran again: {after}");
}

#[test]
fn workers_are_shown_by_name_and_many_of_them_in_a_few_lines() {
    let (folder, database) = database();
    for (rows, batch_size, workers) in [(1_000, 200, 5), (150, 1, 150)] {
        let mut input = input(folder.path(), rows);
        input["batch_size"] = json!(batch_size);
        let ran = programs::run("csv_batch", &["run", "csv_batch", "-i", &input.to_string(), "--wait"], &database);
        assert!(ran.status.success(), "{ran:?}");
        let task = shown(&database);
        assert_eq!((&task["total_steps"], &task["completed_steps"]), (&json!(workers + 3), &json!(workers + 3)));
        let table = programs::run("csv_batch", &["task", "show", "@last"], &database);
        let table = String::from_utf8(table.stdout).expect("it is text");
        let count = format!("{workers}/{workers}");
        let of_batch = |line: &&str| line.contains("⧉ process_batch") && line.contains(&count);
        assert_eq!(table.lines().filter(of_batch).count(), 1, "{table}");
        let all = table.lines().filter(|line| line.contains("process_batch_0")).count();
        assert_eq!(all, if workers == 5 { 5 } else { 0 }, "{table}");
        assert_eq!(table.contains("150 not shown"), workers == 150, "{table}");
        let list = printed(&programs::run("csv_batch", &["task", "list", "--limit", "1", "-o", "json"], &database));
        let listed = list.as_array().map_or(&list, |all| &all[0]);
        assert_eq!((&listed["total_steps"], &listed["open_steps"]), (&json!(workers + 3), &json!(0)), "{list}");
    }
    let many = shown(&database)["task_uuid"].as_str().expect("it has an id").to_owned();
    let empty = input(folder.path(), 0).to_string();
    let ran = programs::run("csv_batch", &["run", "csv_batch", "-i", &empty, "--wait", "-o", "json"], &database);
    assert_eq!(printed(&ran)["steps"][2]["skipped"], json!({ "reason": "no_batches", "by": "analyze_products" }));
    let step = ["step", "show", &many, "process_batch_002", "-o", "json"];
    let step = printed(&programs::run("csv_batch", &step, &database));
    assert_eq!((&step["name"], &step["result"]["batch_id"]), (&json!("process_batch_002"), &json!("002")));
    for name in ["process_batch_151", "process_batch"] {
        let refused = programs::run("csv_batch", &["step", "show", &many, name], &database);
        let text = String::from_utf8(refused.stderr).expect("it is text");
        assert!(text.contains(&format!("has no step `{name}`")), "{text}");
    }
    let doctor = programs::run("csv_batch", &["doctor"], &database);
    assert!(doctor.status.success(), "{doctor:?}");
}
