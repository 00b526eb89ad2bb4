//! The examples as programs: the command in their first lines, on a real database.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const EXAMPLES: [&str; 13] = [
    "linear",
    "diamond",
    "tree",
    "mixed_dag",
    "application_state",
    "api_pipeline",
    "csv_batch",
    "idempotent_import",
    "hand_written",
    "order_fulfillment",
    "order_routing",
    "approval",
    "events",
];

/// The folder of the built examples. Cargo builds them with all targets, and not for `--test examples` alone.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let profile_folder = Path::new(env!("CARGO_BIN_EXE_tasker")).parent().expect("it is in a folder");
        let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--offline", "--examples", "--features", "testing,http", "--profile", profile]);
        build.arg("--target-dir").arg(profile_folder.parent().expect("it is in a folder")).current_dir(ROOT);
        assert!(build.status().expect("cargo starts").success(), "the examples do not build");
        profile_folder.join("examples")
    })
}

/// Runs an example to its end.
pub(crate) fn run(example: &str, arguments: &[&str], database: &Path) -> Output {
    command(example, arguments, database).output().expect("the example starts")
}

/// An example, about to be run in the root folder, as the commands in the examples are meant, with a database of its own.
pub(crate) fn command(example: &str, arguments: &[&str], database: &Path) -> Command {
    let mut command = Command::new(folder().join(example));
    command.args(arguments).arg("--db").arg(database).current_dir(ROOT).stdin(Stdio::null());
    for (variable, _) in std::env::vars() {
        if variable.starts_with("TASKER_") || variable == "DATABASE_URL" {
            command.env_remove(variable);
        }
    }
    command
}

#[track_caller]
pub(crate) fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

pub(crate) fn database() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("tasker.db");
    (folder, path)
}

/// The arguments of the command in an example's first lines.
fn told(example: &str) -> Vec<String> {
    let source = std::fs::read_to_string(Path::new(ROOT).join("examples").join(example).join("main.rs"));
    let source = source.expect("the example has a main.rs");
    let begins = ["", "--release ", "--features http "].map(|more| format!("//! `cargo run {more}--example "));
    let mut commands =
        source.lines().filter_map(|line| begins.iter().find_map(|begin| line.strip_prefix(begin.as_str())));
    let command = commands.next().and_then(|rest| rest.strip_suffix('`')).expect("its first lines say how to run it");
    let (named, arguments) = command.split_once(" -- ").expect("it has arguments");
    assert_eq!(named, example);
    arguments.split(' ').map(str::to_owned).collect()
}

#[test]
fn every_folder_of_an_example_is_run_here() {
    let entries = std::fs::read_dir(Path::new(ROOT).join("examples")).expect("it is there");
    let folders =
        entries.map(|entry| entry.expect("it can be read").path()).filter(|path| path.join("main.rs").exists());
    let mut found: Vec<String> = folders.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    let mut known: Vec<String> = EXAMPLES.map(str::to_owned).to_vec();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn every_example_prints_its_result() {
    let order = json!({
        "order_total": 59.98,
        "payment_id": "PAY-123",
        "shipping_status": "shipped",
        "tracking_number": "TRK-123",
    });
    let results: [Value; EXAMPLES.len()] = [
        json!(69),
        json!(2_821_109_907_456_u64),
        json!("63340286662973277706162286946811886609896461828096"),
        json!("18446744073709551616"),
        json!({ "text": "ada@example.com pays 11900 cents (VAT 19 %)", "sent_in_all": 1 }),
        json!({ "report": { "ada": 2_000, "grace": 4_900 }, "asked": 2 }),
        json!({
            "worker_count": 5,
            "items_processed": 1_000,
            "items_succeeded": 990,
            "items_failed": 10,
            "value_cents": 239_539_258_u64,
            "last_cursor": 1_000,
        }),
        json!({ "sent": 3, "imported": 2, "total_cents": 4_249 }),
        json!("customer 123 orders for 59.98"),
        order,
        json!({ "high_value_review": "an order of 1500 was reviewed", "priority_fulfillment": "sent by express" }),
        json!({ "amount": 7200, "approved_by": ["the manager", "finance"] }),
        json!({ "charged": 59.98 }),
    ];
    for (example, result) in EXAMPLES.into_iter().zip(results) {
        let (_folder, database) = database();
        let arguments = told(example);
        let output = run(example, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &database);
        assert!(output.status.success(), "{example}: {output:?}");
        assert_eq!(printed(&output), result, "{example}");
    }
}

#[test]
fn every_example_passes_its_own_check() {
    for example in EXAMPLES {
        let (_folder, database) = database();
        let output = run(example, &["check"], &database);
        assert!(output.status.success(), "{example}: {output:?}");
    }
}

/// What a subscriber of the program says of a task, on a real database: its line is there when the run has ended.
#[test]
fn an_empty_order_fails_and_raises_the_alarm() {
    let (_folder, database) = database();
    let arguments = ["run", "checkout", "-i", r#"{"prices": []}"#, "--wait", "-o", "json"];
    let output = run("events", &arguments, &database);
    assert_eq!(output.status.code(), Some(8), "{output:?}");
    let task = printed(&output);
    assert_eq!(task["steps"][0]["error"]["error_code"], "EMPTY_ORDER", "{task}");
    let alarm = format!("task {} failed", task["task_uuid"].as_str().expect("it has an id"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().filter(|line| *line == alarm).count(), 1, "{said}");
}

// The first integration test of the older engine's Rust worker, with its assertions, on a file.
#[test]
fn test_linear_workflow_execution() {
    let (_folder, database) = database();
    let input = json!({ "even_number": 6, "test_run_id": uuid::Uuid::new_v4().to_string() }).to_string();
    let arguments = [
        "run",
        "mathematical_sequence",
        "-n",
        "linear_workflow",
        "--version",
        "1.0.0",
        "-i",
        &input,
        "--priority",
        "5",
        "--reason",
        "Test native Rust linear workflow execution",
        "--wait",
        "-o",
        "json",
    ];
    let output = run("linear", &arguments, &database);
    assert!(output.status.success(), "{output:?}");
    let task_result = printed(&output);

    assert_eq!(task_result["status"].as_str(), Some("completed"));
    assert_eq!(task_result["final_result"].as_i64(), Some(69)); // (6² + 10) × 3 ÷ 2
    assert_eq!(task_result["total_steps"].as_u64(), Some(4));
    assert_eq!(task_result["completed_steps"].as_u64(), Some(4));
    assert_eq!(task_result["failed_steps"].as_u64(), Some(0));

    // Verify step progression
    let steps = task_result["steps"].as_array().unwrap();
    assert_eq!(steps[0]["result"].as_i64(), Some(36)); // 6²
    assert_eq!(steps[1]["result"].as_i64(), Some(46)); // 36 + 10
    assert_eq!(steps[2]["result"].as_i64(), Some(138)); // 46 × 3
    assert_eq!(steps[3]["result"].as_i64(), Some(69)); // 138 ÷ 2

    // The same again from the file, by a process of its own.
    let task = task_result["task_uuid"].as_str().unwrap();
    let shown = printed(&run("linear", &["task", "show", task, "-o", "json"], &database));
    assert_eq!(shown, task_result);
}

#[test]
fn an_odd_number_fails_its_task_on_a_real_database() {
    let (_folder, database) = database();
    let output = run(
        "linear",
        &["run", "mathematical_sequence", "-i", r#"{"even_number": 7}"#, "--wait", "-o", "json"],
        &database,
    );
    assert_eq!(output.status.code(), Some(8), "{output:?}");
    let task_result = printed(&output);
    assert_eq!(task_result["status"], "failed");
    assert_eq!(task_result["failed_steps"], 1);
    let step = &task_result["steps"][0];
    assert_eq!((&step["attempts"], &step["error"]["error_code"]), (&json!(1), &json!("VALIDATION_ERROR")));
}

#[test]
fn a_service_that_is_busy_is_asked_again_after_the_delay_that_it_told() {
    let (_folder, database) = database();
    let input = "@examples/api_pipeline/input.json";
    let run = printed(&run("api_pipeline", &["run", "api_pipeline", "-i", input, "--wait", "-o", "json"], &database));
    let attempts: Vec<_> = run["steps"].as_array().unwrap().iter().map(|step| step["attempts"].as_u64()).collect();
    assert_eq!(attempts, [Some(1), Some(1), Some(2), Some(1)], "{run}");
    let connection = rusqlite::Connection::open(&database).expect("it is a database");
    let failed = connection.query_row("SELECT retry_at - finished_at, detail FROM step_attempts", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    });
    let (delay_us, detail) = failed.expect("there is one failed attempt");
    assert!((1_000_000..2_000_000).contains(&delay_us), "{delay_us}");
    assert!(detail.contains("HTTP_503"), "{detail}");
}

#[test]
fn a_missing_field_is_refused_before_anything_is_stored() {
    let (_folder, database) = database();
    let output = run("linear", &["run", "mathematical_sequence", "-i", "{}", "--wait"], &database);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("E204") && said.contains("lacks `even_number`"), "{said}");
}
