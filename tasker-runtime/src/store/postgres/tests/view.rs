//! The view for people shows what `find_task` tells.

use sqlx::Row as _;
use tasker_types::{BatchSpec, FailureStrategy, StepNumber, StepType};

use super::server::{is_there, open};
use crate::store::Store as _;
use crate::store::conformance::World;
use crate::store::conformance::sample::{complete, cut, decide, fail, template, with_types, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_view_shows_every_step_as_a_task_is_shown() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let mut w = World::new(&store);
    // 0 decides between 1 and 2; 1 makes workers after 3 and none after 4; 5 waits for both, 6 follows 2 and is skippable.
    let parents: &[&[u32]] = &[&[], &[0], &[0], &[1], &[1], &[3, 4], &[2]];
    let types =
        [(0, StepType::Decision), (1, StepType::Batchable), (3, StepType::BatchWorker), (4, StepType::BatchWorker)];
    let mut shape = with_types(template("shape", parents), &types);
    let failure_strategy = FailureStrategy::Isolate;
    shape.template.steps[1].batch = Some(BatchSpec { parallelism: Some(2), failure_strategy });
    shape.template.steps[6].skippable = true;
    let id = w.start(1, shape).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &[StepNumber(1)])).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 4)).await.unwrap();
    let claims = w.claim(worker(1), 2).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1])]).await;

    let mut connection = database.connect().await;
    for view in ["workflow_steps", "tasker_workflow_steps"] {
        let sql = format!(
            "SELECT number, name, state, attempts, skippable FROM tasker.{view} WHERE task_uuid = $1 ORDER BY number"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.uuid()).fetch_all(&mut connection).await.unwrap();
        let shown: Vec<(i32, String, String, i32)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
        let steps = store.find_task(id).await.unwrap().unwrap().steps;
        let told: Vec<_> = steps
            .iter()
            .map(|step| {
                let (number, attempt) = (i32::try_from(step.number.0).unwrap(), i32::try_from(step.attempt).unwrap());
                (number, step.name.clone(), step.state.to_string(), attempt)
            })
            .collect();
        assert_eq!(shown, told);
        assert_eq!(shown.len(), 10, "six steps, and four workers in the place of one");
        let skippable: Vec<i32> = rows.iter().filter(|row| row.get(4)).map(|row| row.get(0)).collect();
        assert_eq!(skippable, [6]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_view_has_the_columns_that_the_documents_show() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let mut w = World::new(&store);
    let id = w.start(1, template("four", &[&[], &[], &[], &[0, 1, 2]])).await;
    let claims = w.claim(worker(1), 3).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1])]).await;
    let sql = "SELECT workflow_step_uuid, retryable, retry_limit, in_process, processed, processed_at IS NOT NULL AS ended, \
               attempts, last_attempted_at IS NOT NULL AS tried, backoff_request_seconds IS NOT NULL AS waits, results, skippable \
               FROM tasker.tasker_workflow_steps WHERE task_uuid = $1 ORDER BY number";
    let mut connection = database.connect().await;
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.uuid()).fetch_all(&mut connection).await.unwrap();
    // In process, processed, processed at, attempts, tried, waits for its backoff.
    let shown: Vec<(bool, bool, bool, i32, bool, bool)> = rows
        .iter()
        .map(|row| {
            let told = (row.get("in_process"), row.get("processed"), row.get("ended"));
            (told.0, told.1, told.2, row.get("attempts"), row.get("tried"), row.get("waits"))
        })
        .collect();
    let done = (false, true, true, 1, true, false);
    let failed = (false, false, false, 1, true, true);
    let runs = (true, false, false, 1, true, false);
    let untouched = (false, false, false, 0, false, false);
    assert_eq!(shown, [done, failed, runs, untouched]);
    for (row, number) in rows.iter().zip(0..) {
        assert_eq!(row.get::<uuid::Uuid, _>("workflow_step_uuid"), id.step_uuid(StepNumber(number)));
        let options: (bool, i64, bool) = (row.get("retryable"), row.get("retry_limit"), row.get("skippable"));
        assert_eq!(options, (true, 3, false));
    }
    assert_eq!(rows[0].get::<&str, _>("results"), r#"{"step":0,"attempt":1}"#);
}
