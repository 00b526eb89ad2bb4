//! A delivery that is sent again is imported once.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tasker::TaskRequest;
use tasker::testing::{TestApp, TestRun};

#[path = "../../examples/idempotent_import/handlers.rs"]
mod handlers;

use crate::programs::{command, database, printed};

const TEMPLATE: &str = include_str!("../../examples/idempotent_import/templates/idempotent_import.yaml");

fn delivery(folder: &Path) -> Value {
    json!({ "into": folder, "orders": [
        { "id": "A-1", "amount_cents": 1_200 }, { "id": "B-2", "amount_cents": 2_999 }, { "id": "A-1", "amount_cents": 1_250 },
    ] })
}

async fn import(app: &TestApp, context: Value, key: &str) -> TestRun {
    let request = TaskRequest {
        name: "idempotent_import".to_owned(),
        namespace: "imports".to_owned(),
        context,
        idempotency_key: Some(key.to_owned()),
        ..TaskRequest::default()
    };
    app.run_request(request).await
}

fn written(folder: &Path) -> Vec<(String, Value)> {
    let files = std::fs::read_dir(folder).expect("there is a folder").map(|file| file.expect("it can be read").path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        (path.file_name().expect("a file").to_string_lossy().into_owned(), serde_json::from_str(&text).expect("JSON"))
    };
    let mut files: Vec<_> = files.map(read).collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[tokio::test]
async fn a_delivery_that_is_sent_again_is_imported_once() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let app = TestApp::new().template(TEMPLATE);
    let first = import(&app, delivery(folder.path()), "delivery-7").await;
    first
        .assert_completed()
        .assert_result(
            "sort_orders",
            &json!({
                "orders": [{ "id": "A-1", "amount_cents": 1_250 }, { "id": "B-2", "amount_cents": 2_999 }],
                "total_cents": 4_249,
            }),
        )
        .assert_result("write_orders", &json!({ "written": 2 }))
        .assert_result("report_import", &json!({ "sent": 3, "imported": 2, "total_cents": 4_249 }));
    let files = [
        ("A-1.json".to_owned(), json!({ "id": "A-1", "amount_cents": 1_250 })),
        ("B-2.json".to_owned(), json!({ "id": "B-2", "amount_cents": 2_999 })),
    ];
    assert_eq!(written(folder.path()), files);
    // Somebody corrects an order by hand: a second import would undo it.
    std::fs::write(folder.path().join("A-1.json"), "{}").expect("it can be written");
    let again = import(&app, delivery(folder.path()), "delivery-7").await;
    assert_eq!(again.view().row.id, first.view().row.id);
    assert_eq!(written(folder.path())[0].1, json!({}));
    let other = import(&app, delivery(folder.path()), "delivery-8").await;
    assert_ne!(other.view().row.id, first.view().row.id);
    assert_eq!(written(folder.path()), files);
}

#[test]
fn the_program_gives_the_same_task_and_refuses_what_it_is_told_to() {
    let (folder, database) = database();
    let input = delivery(&folder.path().join("orders")).to_string();
    let run = |key: &[&str], input: &str, more: &[&str]| -> Output {
        let arguments = [&["run", "idempotent_import", "-i", input, "-o", "json", "--wait"], key, more].concat();
        command("idempotent_import", &arguments, &database).output().expect("the example starts")
    };
    let key = ["--key", "delivery-7"];
    let (first, again) = (run(&key, &input, &[]), run(&key, &input, &[]));
    assert_eq!((first.status.code(), again.status.code()), (Some(0), Some(0)), "{first:?} {again:?}");
    assert_eq!(printed(&first), printed(&again));
    assert_eq!(printed(&first)["final_result"], json!({ "sent": 3, "imported": 2, "total_cents": 4_249 }));
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = run(&key, &input, &["--if-exists", "conflict"]);
    assert_eq!((refused.status.code(), told(&refused).contains("E111")), (Some(7), true), "{refused:?}");
    let refused = run(&[], &input, &[]);
    assert_eq!((refused.status.code(), told(&refused).contains("each request needs")), (Some(4), true), "{refused:?}");
    let refused = run(&["--key", "delivery-8"], &input.replace("2999", "\"2999\""), &[]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(told(&refused).contains("`orders[1].amount_cents`: the value is not of type"), "{refused:?}");
    let listed = command("idempotent_import", &["task", "list", "-o", "json"], &database).output().expect("it starts");
    assert_eq!(printed(&listed).as_array().map(Vec::len), Some(1));
}
