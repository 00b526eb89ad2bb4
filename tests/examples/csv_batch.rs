//! A file is cut into batches, and what the workers find is what a plain loop finds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasker::testing::{TestApp, TestRun, TestStep};
use tasker::{StepState, error_types, step_handler};

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
    input["pace_ms"] = json!(250);
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

/// What each worker of a batch has saved, as `step show` tells it.
fn saved(database: &Path) -> BTreeMap<u64, u64> {
    let worker = |number: u64| {
        let name = format!("process_batch_{number:03}");
        let told = programs::run("csv_batch", &["step", "show", "@last", &name, "-o", "json"], database);
        let step: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
        Some((number - 1, step["checkpoint"]["value"]["last_cursor"].as_u64()?))
    };
    (1..=5).filter_map(worker).collect()
}

/// How often each product was counted.
fn noted(journal: &Path) -> Vec<u32> {
    let mut times = vec![0; 1_000];
    for line in std::fs::read_to_string(journal).unwrap_or_default().lines() {
        let mut ends = line.split(' ').map(|end| end.parse::<usize>().expect("it is a position"));
        let (from, to) = (ends.next().expect("where it begins"), ends.next().expect("where it ends"));
        times[from..to].iter_mut().for_each(|times| *times += 1);
    }
    times
}

#[test]
fn a_killed_worker_counts_nothing_again_that_it_had_saved() {
    let (folder, database) = database();
    let journal = folder.path().join("journal");
    let mut input = input(folder.path(), 1_000);
    (input["pace_ms"], input["journal"]) = (json!(200), json!(journal));
    let killed = start(&["run", "csv_batch", "-i", &input.to_string(), "--wait"], &database);
    let is_under_way = |worker: &Value| {
        let name = worker["name"].as_str().unwrap_or_default();
        name.starts_with("process_batch_") && worker["current_state"] == "running"
    };
    // Somebody has saved, and is not done.
    let began = Instant::now();
    while !saved(&database).values().any(|at| at % 200 != 0) {
        assert!(began.elapsed() < DEADLINE, "nobody saved: {}", shown(&database));
    }
    drop(killed);
    let (saved, before, left) = (saved(&database), noted(&journal), shown(&database));
    let running = left["steps"].as_array().expect("there are steps").iter().filter(|step| is_under_way(step)).count();
    assert!(running > 0 && before.contains(&0), "it was killed in the middle: {left}");
    let worker = start(&["dev"], &database);
    let after = eventually(&database, |task| task["status"] == "completed");
    drop(worker);
    let mut counted = Counted::default();
    products::text(1_000).lines().skip(1).for_each(|row| counted.add(row));
    assert_eq!(after["final_result"]["items_processed"], 1_000);
    assert_eq!(after["final_result"]["value_cents"], counted.value_cents);
    let times = noted(&journal);
    for (position, times) in (0_u64..).zip(&times) {
        let was_saved = saved.get(&(position / 200)).is_some_and(|at| position < *at);
        assert!((1..=if was_saved { 1 } else { 2 }).contains(times), "product {position} was counted {times} times");
    }
    let twice = times.iter().filter(|times| **times > 1).count();
    let portions = twice.div_ceil(usize::try_from(guide::PORTION).expect("it is small"));
    assert!(portions <= running, "{twice} were counted twice by {running} workers");
    let doctor = programs::run("csv_batch", &["doctor"], &database);
    assert!(doctor.status.success(), "{doctor:?}");
}

/// The worker of the second batch of this file, before it is called.
fn second_worker(path: &Path) -> TestStep {
    let cursor = json!({ "batch_id": "002", "start_cursor": 200, "end_cursor": 400, "batch_size": 200 });
    TestStep::new(json!({})).inputs(cursor).dependency("write_products", json!({ "path": path }))
}

#[tokio::test]
async fn a_file_that_is_gone_is_looked_for_again_and_one_that_shrank_is_not() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("products.csv");
    let gone = guide::process_batch(&second_worker(&path).build()).await.expect("it says so in its result");
    assert_eq!((gone.error_type(), gone.error_code()), (Some(error_types::RETRYABLE_ERROR), Some("FILE_UNREADABLE")));
    assert!(gone.metadata.retryable, "{gone:?}");
    products::write(&path, 399).expect("a file can be written");
    let shrank = guide::process_batch(&second_worker(&path).build()).await.expect("it says so in its result");
    assert_eq!((shrank.error_type(), shrank.error_code()), (Some(error_types::PERMANENT_ERROR), Some("FILE_CHANGED")));
    assert!(!shrank.metadata.retryable, "{shrank:?}");
    let message = shrank.error_message.expect("it says why");
    assert!(message.ends_with("has 399 products: it was cut when there were 400 or more"), "{message}");
}

#[tokio::test]
async fn a_worker_that_has_nothing_to_do_says_so() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("products.csv");
    let empty = |start: u64, end: u64, size: u32| json!({ "batch_id": "001", "start_cursor": start, "end_cursor": end, "batch_size": size });
    // There is no file: whoever looked for it would fail.
    for inputs in [empty(200, 400, 0), empty(200, 200, 200), json!({})] {
        let done = guide::process_batch(&second_worker(&path).inputs(inputs.clone()).build()).await;
        let done = done.unwrap_or_else(|error| panic!("{inputs}: {error:#}"));
        assert_eq!((done.success, done.result), (true, json!({ "no_op": true })), "{inputs}");
    }
}

#[tokio::test]
async fn a_worker_that_was_resumed_has_the_result_of_one_that_was_not() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("products.csv");
    products::write(&path, 400).expect("a file can be written");
    let step = |saved: Option<Value>| {
        let step = second_worker(&path);
        match saved {
            Some(saved) => step.checkpoint(saved).attempt(2).build(),
            None => step.build(),
        }
    };
    let whole = guide::process_batch(&step(None)).await.expect("it is counted");
    let mut counted = Counted::default();
    products::text(400).lines().skip(201).take(150).for_each(|row| counted.add(row));
    let mut saved = json!(counted);
    saved["last_cursor"] = json!(350);
    let resumed = guide::process_batch(&step(Some(saved))).await.expect("it is counted");
    assert_eq!((&whole.result, whole.result["items_processed"].as_u64()), (&resumed.result, Some(200)));
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
